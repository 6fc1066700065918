"""The tables of numbers of one corpus file, once it is sure that they fit together."""

import numpy as np

from datasets import audio
from datasets.errors import InputError
from datasets.shard import AGAIN, Shard

SPLITS = ("train", "validation", "test")
LONGEST = 100_000  # frames of a recording, 1000 s


class Rows:
    """Everything in a corpus file but texts, pictures and frames.

    Args:
        species, voices: how many the file has.

    Raises:
        InputError: if a table is damaged, or names a row that another lacks.
    """

    def __init__(self, shard: Shard, species: int, voices: int) -> None:
        self.pictures, self.captions = len(shard.records("pictures/name")), len(shard.records("captions/text"))
        self.of = {
            table: shard.between(table, low, high)
            for table, low, high in (
                ("pictures/species", 0, species),
                ("pictures/split", 0, len(SPLITS)),
                ("captions/picture", 0, self.pictures),
                ("recordings/picture", 0, self.pictures),
                ("recordings/caption", -1, self.captions),
                ("recordings/voice", 0, voices),
                ("recordings/seed", 0, 2**63),
            )
        }
        self.heard = shard.numbers("voices/heard", np.bool_)
        self.engine_heard = np.ones_like(self.heard)  # files of before engines were kept out do not tell
        if "voices/engine_heard" in shard.file:
            self.engine_heard = shard.numbers("voices/engine_heard", np.bool_)
        recordings = len(self.of["recordings/picture"])
        lengths = {table: len(values) for table, values in self.of.items()}
        lengths |= {"pictures/encoded": len(shard.records("pictures/encoded")), "voices/heard": len(self.heard)}
        lengths["voices/engine_heard"] = len(self.engine_heard)
        wanted = {"pictures": self.pictures, "captions": self.captions, "recordings": recordings, "voices": voices}
        for table, length in lengths.items():
            if length != wanted[table.partition("/")[0]]:
                raise InputError(
                    f"{shard.path}: {table}: has {length} rows instead of {wanted[table.partition('/')[0]]}; {AGAIN}"
                )
        self.offsets = self.sums = None
        if "recordings/offset" in shard.file:
            self.offsets = shard.numbers("recordings/offset")
            self._check_offsets(shard, recordings)
            if "recordings/crc32" in shard.file or shard.file.attrs["version"] != 1:
                self.sums = shard.numbers("recordings/crc32")
        elif recordings and self.of["recordings/caption"].min() < 0:
            raise InputError(f"{shard.path}: recordings/caption: a recording to synthesise has no caption; {AGAIN}")

    def _check_offsets(self, shard: Shard, recordings: int) -> None:
        mel, offsets = shard.table("recordings/mel"), self.offsets
        assert offsets is not None
        width = shard.config.get("width", audio.N_MELS)
        if mel.dtype != np.float16 or mel.shape[1:] != (width,):
            raise InputError(f"{shard.path}: recordings/mel: is not [F, {width}] float16; {AGAIN}")
        lengths = np.diff(offsets)
        bad = len(offsets) != recordings + 1 or offsets[0] != 0 or offsets[-1] > len(mel)
        if bad or (len(lengths) and not 0 < lengths.min() <= lengths.max() <= LONGEST):
            raise InputError(f"{shard.path}: recordings/offset: does not fit the recordings; {AGAIN}")
