"""What the page can do, without the page: hear, read, say, mix, paint stage by stage, and tell how."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attngan.networks.condition import Condition, morph
from attngan.runtime.training_options import SINGLE
from datasets import voices
from datasets.errors import InputError
from s2i.model import replay, spoken_language
from s2i.model.model_folder import ModelFolder
from s2i.model.painted_file import Origin
from s2i.model.pipeline import Pictures, SpeechToImage
from s2i.model.replay import PaintingFile, Source
from s2i.model.text_reader import TextReader, check_text
from s2i.model.transcribe import Recogniser
from s2i.model.whisper import FasterWhisper, packaged_folder

VOICE = "espeak-us"
Words = list[tuple[str, float, float]]


@dataclass(frozen=True)
class Description:
    """What is to be painted.

    Attributes:
        condition: one caption of T segments or words.
        title: what to call it: the words that were typed, or "Your recording".
        sources: where it comes from, one or two.
        text: the words, where they are known.
        parts: the T words of what was typed; none of speech.
        segments: T times (start, end) in seconds of speech.
        log_mel: [frames, 40] float32 of speech, else no frames.
        waves: [N] at 16 kHz, one for each source that was heard.
        notes: what a person should know about it.
        ends: the two descriptions that it lies between, if it does.
        share: of the second of them.
    """

    condition: Condition
    title: str
    sources: tuple[Source, ...]
    text: str = ""
    parts: tuple[str, ...] = ()
    segments: list[tuple[float, float]] = field(default_factory=list)
    log_mel: np.ndarray = field(default_factory=lambda: np.zeros((0, 40), np.float32))
    waves: tuple[Tensor, ...] = ()
    notes: tuple[str, ...] = ()
    ends: "tuple[Description, Description] | None" = None
    share: float = 0.0

    @property
    def wave(self) -> Tensor | None:
        """The one recording [N] that it is, or None."""
        return self.waves[0] if self.waves and self.ends is None else None

    @property
    def spoken(self) -> bool:
        """Whether any of it was heard."""
        return any(source.speech for source in self.sources)

    @property
    def typed(self) -> bool:
        """Whether any of it was read."""
        return any(source.text for source in self.sources)


class Session:
    """The model of a folder, with all that goes with it, each loaded once.

    Args:
        folder: holds speech and generator weights, and perhaps DAMSM's, for text, and a recogniser.
        device, precision: where and how it paints; of `SpeechToImage.load`.

    Raises:
        InputError: if a file is missing or damaged; of what is for text or a recogniser, when it is first used.
    """

    def __init__(self, folder: Path, device: str = "auto", *, precision: str = SINGLE) -> None:
        self.folder = ModelFolder(folder)
        self.model = SpeechToImage.load(self.folder, device, precision=precision)

    @property
    def reader(self) -> TextReader:
        """What reads typed words."""
        return self.model.reader

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(self.folder / "recogniser")

    @cached_property
    def _whisper(self) -> FasterWhisper | None:
        if packaged_folder() is None:
            return None
        captions = None
        with suppress(InputError):  # it hears without them, too
            captions = self._recogniser
        return FasterWhisper(captions=captions)

    def hear(self, wave: Tensor, title: str = "Your recording", text: str = "", *, force: bool = False) -> Description:
        """Samples [N] at 16 kHz as a description; `text` tells the words where they are known.

        Where Whisper is installed, and neither the words are known nor anything is forced, a note tells what hardly is
        English.

        Raises:
            NoSpeechError: if they hold no speech, as far as can be told, unless it is to be painted by `force`.
        """
        heard = self.model.hear(wave, force=force)
        note = None if text or force else spoken_language.note(wave)
        return Description(
            heard.condition,
            title,
            (heard.source,),
            text=text,
            segments=heard.segments,
            log_mel=heard.log_mel,
            waves=(wave,),
            notes=() if note is None else (note,),
        )

    def read(self, text: str) -> Description:
        """Typed words as a description.

        Raises:
            InputError: if there are none that the model knows, or too many.
        """
        read = self.reader(text)
        sources = (Source(text=read.text),)
        return Description(read.condition, read.text, sources, read.text, tuple(read.words), notes=tuple(read.notes))

    def say(self, text: str, voice: str = VOICE) -> Description:
        """Typed words, said by a synthetic voice, as a description from speech.

        Raises:
            InputError: if they cannot be said, or take longer than a recording may.
        """
        check_text(text)
        text = " ".join(text.split())
        read = self.reader(text)  # refuses what is no English, which a voice would spell
        described = self.hear(voices.synthesise(voices.by_name(voice), text, 0), text, text, force=True)
        return replace(described, notes=tuple(replace(read, left_out=0).notes))  # a voice says all of it

    def between(self, one: Description, other: Description, share: float) -> Description:
        """A description between two, `one` at share 0; of a mixture the first end counts."""
        one, other = (described.ends[0] if described.ends else described for described in (one, other))
        if share in (0, 1):
            return other if share else one
        return Description(
            morph(one.condition, other.condition, share),
            f"{one.title} → {other.title}, {share:.0%}",
            one.sources + other.sources,
            waves=one.waves + other.waves,
            ends=(one, other),
            share=share,
        )

    def stages(self, described: Description, seed: int, sample: int = 0) -> Iterator[Pictures]:
        """Paint; first the smallest picture alone, then one more each time.

        Raises:
            InputError: if a number is out of range.
        """
        for stages in range(1, len(self.model.generator) + 1):
            yield self.paint(described, seed, sample, stages)

    def paint(
        self, described: Description, seed: int, sample: int = 0, stages: int | None = None, *, samples: int = 1
    ) -> Pictures:
        """Paint a description `samples` times, from sample number `sample` on, by default in all sizes.

        Raises:
            InputError: if a number is out of range.
        """
        if stages is None:
            pictures = self._paint_all(described, seed, sample, samples)
        else:
            pictures = self.model.paint(described.condition, samples=samples, seed=seed, first=sample, stages=stages)
        return replace(pictures, segments=described.segments, log_mel=described.log_mel)

    def _paint_all(
        self, described: Description, seed: int, sample: int, samples: int = 1, precision: str | None = None
    ) -> Pictures:
        return self.model.paint_from(
            described.condition,
            described.sources,
            share=described.share,
            samples=samples,
            seed=seed,
            first=sample,
            precision=precision,
        )

    def words(self, wave: Tensor) -> Words:
        """What the recogniser understands, with times in seconds; painting itself knows no words.

        Raises:
            InputError: if no recogniser is shipped with the model, or its packages are missing.
        """
        return self._recogniser.timed(wave)

    def whisper_words(self, wave: Tensor) -> str | None:
        """What Whisper understands, helped by the captions of the recogniser; None where Whisper is not installed."""
        return None if self._whisper is None else self._whisper(wave)

    def repaint(self, origin: Origin, waves: Sequence[tuple[str, Tensor]] = ()) -> tuple[Pictures, Description, bool]:
        """Paint a picture once more; gives also what was painted, and whether every pixel is the same.

        Args:
            waves: name and samples of the recordings given; each that `origin` names must be among them, unless it
                holds what was heard.

        Raises:
            InputError: if the model is another, or a recording is missing or another.
        """
        about = origin.painting
        about.check_model(self.folder)
        with _threads(about.threads):
            described = self._describe(about, waves, origin.condition)
            pictures = self._paint_all(described, about.seed, about.sample, precision=about.precision)
        pictures = replace(pictures, segments=described.segments, log_mel=described.log_mel)
        return pictures, described, replay.checksum(pictures.stages[-1][0]) == about.pixels

    def _describe(
        self, about: PaintingFile, waves: Sequence[tuple[str, Tensor]], heard: Condition | None
    ) -> Description:
        """What was said or typed for a picture, or what was heard of it, where no recording is given."""
        if heard is not None and not waves:
            wanted = self.model.generator.augmentation.project.in_features
            if heard.sentence.shape[1] != wanted:
                raise InputError(
                    f"picture: tells of {heard.sentence.shape[1]} dimensions, the model wants {wanted}; copy it again"
                )
            return Description(heard, "recording", about.sources, share=about.share)
        by_checksum = {replay.checksum(wave): wave for _, wave in waves}
        described = []
        for source in about.sources:
            if source.text:
                described.append(self.read(source.text))
            elif source.speech in by_checksum:
                described.append(self.hear(by_checksum[source.speech], force=True))
            elif waves:
                raise InputError(
                    f"{waves[0][0]}: is not the recording that this picture was painted from; give that one"
                )
            else:
                raise InputError("recordings: none given, but this picture was painted from one; name it too")
        return described[0] if len(described) == 1 else self.between(described[0], described[1], about.share)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Compute with so many threads, which decides about rounding; with no more than there are cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(number, max(before, os.cpu_count() or 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def cosine(one: Tensor, other: Tensor) -> float:
    """Cosine of two vectors [1, D]."""
    return float(torch.nn.functional.cosine_similarity(one, other)[0])
