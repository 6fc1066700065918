"""The command that makes a corpus of Whisper's features, for `train_sen --front whisper`.

The recordings are spoken again, since a corpus keeps log-mels alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import cli
from datasets.errors import InputError
from datasets.files import require_file

if TYPE_CHECKING:  # names in annotations only; torch takes a second to import
    from torch import Tensor

    from datasets.corpus import Corpus, Tables
    from s2i.model.whisper_front import WhisperFront

TOGETHER = 100  # recordings between two results that are kept


@dataclass(frozen=True)
class WhisperFeaturesConfig:
    """Of which recordings, and where the features go."""

    corpus: Path = Path("data/cub.h5")
    """The corpus whose recordings are spoken again, by voices that are installed."""
    output: Path = Path("data/cub-whisper.h5")
    """The corpus with features in the place of log-mels; the same command goes on where it was stopped."""
    per_picture: int = 0
    """Recordings of each training picture, the first so many; 0 for all."""
    threads: int = 0
    """Of the CPU; 0 for as many as torch takes."""

    def __post_init__(self) -> None:
        cli.check_range("per_picture", self.per_picture, 0)
        cli.check_range("threads", self.threads, 0, 256)


def main(arguments: list[str]) -> None:
    """Listen as the command line asks for."""
    description = "Make a corpus of what Whisper's frozen encoder hears, to train a speech encoder on it."
    config = cli.parse_tool(WhisperFeaturesConfig, arguments, description=description)
    print(make(config))


def make(config: WhisperFeaturesConfig) -> Path:
    """Listen to all recordings and write the corpus; its path.

    Raises:
        InputError: for a missing or damaged corpus, one of features, recordings that cannot be spoken again, a missing
            package, or a full disk.
    """
    import shutil

    from tqdm import tqdm

    from datasets.corpus import LOG_MEL, Corpus, write
    from s2i.evaluation.cache import Cache
    from s2i.model import whisper_front

    require_file(config.corpus, "corpus", maker="scripts/prepare_cub.sh")
    corpus, front = Corpus(config.corpus), whisper_front.WhisperFront(config.threads)
    if corpus.front != LOG_MEL:
        raise InputError(f"{config.corpus}: holds features of {corpus.front} already; give a corpus of log-mels")
    chosen = _chosen(corpus, config.per_picture)
    cache = Cache(config.output.with_suffix(".features"))
    parts = [chosen[first : first + TOGETHER] for first in range(0, len(chosen), TOGETHER)]
    told = {"corpus": [corpus.config, corpus.sources], "front": front.identity}

    def kept(part: list[int]) -> "dict[str, Tensor]":
        return cache.arrays("features", {**told, "recordings": part}, lambda: _listen(corpus, front, part))

    for part in tqdm(parts, desc="listening", unit=f"{TOGETHER} recordings"):
        kept(part)
    features = (kept(part)[str(recording)].numpy() for part in parts for recording in part)
    about = {**corpus.config, "front": "whisper", "width": whisper_front.WIDTH + 1, "whisper": front.identity}
    write(
        config.output,
        _tables(corpus, chosen),
        (corpus.encoded(index) for index in range(len(corpus))),
        features,
        sources=corpus.sources,
        config=about,
        width=whisper_front.WIDTH + 1,
    )
    corpus.close()
    shutil.rmtree(cache.folder)
    return config.output


def _chosen(corpus: "Corpus", per_picture: int) -> list[int]:
    """The recordings to listen to."""
    if not per_picture:
        return list(range(len(corpus.recording_picture)))
    training = set(corpus.pictures_of("train").tolist())
    owned = corpus.recordings_by_picture()
    kept = [owned[k][: per_picture if k in training else None].tolist() for k in range(len(corpus))]
    return sorted(recording for each in kept for recording in each)


def _listen(corpus: "Corpus", front: "WhisperFront", recordings: list[int]) -> "dict[str, Tensor]":
    """What the front end hears in some recordings, [T, W] each."""
    from datasets import channels
    from datasets.rows import SPLITS
    from s2i.evaluation.transcripts import wave_of

    found = {}
    for recording in recordings:
        wave = wave_of(corpus, recording)
        if corpus.split[corpus.recording_picture[recording]] == SPLITS.index("train"):
            wave = channels.vary(wave, int(corpus.recording_seed[recording]))
        found[str(recording)] = front(wave).half()
    return found


def _tables(corpus: "Corpus", recordings: list[int]) -> "Tables":
    """All of a corpus but its features, with some of its recordings."""
    from datasets.corpus import Tables

    return Tables(
        species=list(corpus.species_names),
        picture_names=list(corpus.names),
        picture_species=corpus.species.tolist(),
        picture_split=corpus.split.tolist(),
        captions=list(corpus.captions),
        caption_picture=corpus.caption_picture.tolist(),
        recording_picture=corpus.recording_picture[recordings].tolist(),
        recording_caption=corpus.recording_caption[recordings].tolist(),
        recording_voice=corpus.recording_voice[recordings].tolist(),
        recording_seed=corpus.recording_seed[recordings].tolist(),
        voice_names=list(corpus.voice_names),
        voice_heard=corpus.voice_heard.tolist(),
        voice_engine_heard=corpus.voice_engine_heard.tolist(),
    )


if __name__ == "__main__":
    cli.run(main)
