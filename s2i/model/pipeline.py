"""The whole walk for people who use Python: `SpeechToImage.load()("bird.wav").save("outputs", "bird")`."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch

from attngan.networks.condition import Condition
from attngan.networks.generator import Generator, load_generator
from attngan.runtime.device import find_device
from attngan.runtime.training_options import SINGLE
from datasets import audio
from datasets.errors import InputError
from s2i.model import calls, hub, painted_file, replay, speech_presence
from s2i.model.model_folder import GENERATOR, SPEECH, ModelFolder
from s2i.model.pictures import EncodedRecording
from s2i.model.pictures import Pictures as Pictures
from s2i.model.replay import Source
from s2i.model.speech_encoder import SpeechEncoder, load_speech_encoder

if TYPE_CHECKING:  # they import much that speech does not need
    from s2i.model.text_reader import EncodedText, TextReader


class SpeechToImage:
    """Paints spoken and typed descriptions.

    Args:
        encoder: turns a recording into a condition; None for a model that reads typed words alone.
        generator: turns a condition into pictures.
        device: where both run.
        precision: "32-true", as the weights are, or "bf16-mixed", in bfloat16 where that is faster, as the generator
            was trained; colours differ by about 1 of 255.
        folder: that both were loaded from, where there is one; typed words are read by the text encoder in it.
    """

    def __init__(
        self,
        encoder: SpeechEncoder | None,
        generator: Generator,
        device: torch.device,
        *,
        precision: str = SINGLE,
        folder: ModelFolder | None = None,
    ) -> None:
        self.precision, self.folder = precision, folder
        self._encoder = None if encoder is None else encoder.eval()
        self.generator = generator.eval()
        self.to(device)

    @classmethod
    def load(
        cls, folder: str | Path | ModelFolder | None = None, device: str = "auto", *, precision: str = SINGLE
    ) -> "SpeechToImage":
        """The model of a folder with speech.safetensors and generator.safetensors, by default the one that is shipped.

        Args:
            device: "auto", a GPU where there is one, or a name that torch knows.
            precision: as for the class.

        Raises:
            InputError: if a file is missing, damaged, changed or something else, or the two do not fit together.
        """
        folder = folder if isinstance(folder, ModelFolder) else ModelFolder(folder)
        place = find_device(device)
        names = folder.check()
        encoder = load_speech_encoder(folder / SPEECH) if SPEECH in names else None
        generator, _ = load_generator(folder / GENERATOR)
        expected = generator.augmentation.project.in_features
        if encoder is not None and encoder.to_sentence.out_features != expected:
            raise InputError(
                f"{folder}: {SPEECH} gives {encoder.to_sentence.out_features} dimensions, {GENERATOR} wants "
                f"{expected}; take both from the same training"
            )
        return cls(encoder, generator, place, precision=precision, folder=folder)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        device: str = "auto",
        precision: str = SINGLE,
        revision: str | None = None,
        **options: Any,
    ) -> "SpeechToImage":
        """The model of a folder, or one of the Hugging Face Hub, called OWNER/NAME; by default the shipped one.

        Args:
            device, precision: as for `load`.
            revision: branch, tag or commit of the Hub's.
            options: others of `huggingface_hub.snapshot_download`, such as `token` and `cache_dir`.

        Raises:
            InputError: as `load`, or if the model cannot be had from the Hub, or huggingface_hub is not installed.
        """
        folder = None if name is None else hub.find_model(name, revision=revision, **options)
        return cls.load(folder, device, precision=precision)

    def save_pretrained(self, folder: str | Path) -> list[Path]:
        """Write the model into a folder that `load` and `from_pretrained` read; returns its files.

        Files of weights that did not change since they were loaded stay the same to the last byte.

        Raises:
            InputError: if the folder cannot be written.
        """
        return hub.save_model(folder, self.folder, self.generator, self._encoder)

    @property
    def encoder(self) -> SpeechEncoder:
        """What hears recordings.

        Raises:
            InputError: if the model has none.
        """
        if self._encoder is None:
            raise InputError(
                f"{self.folder}: this model hears nothing, it paints typed words; give it those (--text), or train a "
                "speech encoder for it: scripts/train_sen.sh"
            )
        return self._encoder

    @cached_property
    def reader(self) -> "TextReader":
        """What reads typed words.

        Raises:
            InputError: if the model has no text encoder, or it is damaged.
        """
        from s2i.model.text_reader import TextReader

        if self.folder is None:
            raise InputError("text: this model was not loaded from a folder, so it has nothing that reads; give speech")
        return TextReader(self.folder, self.device)

    def to(self, device: str | torch.device) -> "SpeechToImage":
        """Move to a device, in place, and give the same model.

        Raises:
            InputError: if there is no such device here.
        """
        self.device = find_device(str(device))
        self.generator.to(self.device)
        if self._encoder is not None:
            self._encoder.to(self.device)
        if "reader" in vars(self):  # it was used
            self.reader.encoder.to(self.device)
        return self

    @overload
    def __call__(
        self,
        recording: list[Any],
        *,
        text: str | Sequence[str] | None = None,
        samples: int = 1,
        seed: int | Sequence[int] = 0,
        generator: calls.RandomNumbers = None,
        force: bool = False,
    ) -> list[Pictures]: ...

    @overload
    def __call__(
        self,
        recording: audio.AnyRecording | None = None,
        *,
        text: str | Sequence[str] | None = None,
        samples: int = 1,
        seed: int | Sequence[int] = 0,
        generator: calls.RandomNumbers = None,
        force: bool = False,
    ) -> Pictures: ...

    def __call__(
        self,
        recording: Any = None,
        *,
        text: str | Sequence[str] | None = None,
        samples: int = 1,
        seed: int | Sequence[int] = 0,
        generator: calls.RandomNumbers = None,
        force: bool = False,
    ) -> Pictures | list[Pictures]:
        """Paint what `recording` says, or what the words of `text` say, `samples` times.

        The same recording, seed and sample give the same pixels on the same machine, however many samples are asked
        and whatever else is in a list.

        Args:
            recording: in any form that `datasets.any_recording.waveform` takes, or a list of such.
            text: a description in English, or several.
            samples: from 1 to 100.
            seed: at least 0; of a list it may be one for all, or a list of as many.
            generator: draws the seeds instead, one for each description in turn; or a list of as many generators.
            force: paint what holds no speech as well, as far as can be told: music, noise, a bird's song.

        Returns:
            The pictures of one recording or text; of a list, or where both are given, a list of the pictures of each
            recording and then of each text.

        Raises:
            InputError: if a recording is not one, or too short, too long, silent or without speech, a text has no word
                that the model knows, or a number is out of range. Nothing is painted then.
        """
        recordings, texts = calls.recordings_of(recording), calls.texts_of(text)
        if recording is None and text is None:
            raise InputError("recording: none given; give a recording, or text=")
        seeds = calls.seeds_for(len(recordings) + len(texts), seed, generator)
        for number in seeds:
            calls.check_numbers(samples, number)
        hear = partial(self.hear, force=force)
        heard = [calls.telling(hear, each, place, len(recordings)) for place, each in enumerate(recordings, 1)]
        read = [calls.telling(self.read, each, place, len(texts)) for place, each in enumerate(texts, 1)]
        painted = []
        descriptions: list[EncodedRecording | EncodedText] = [*heard, *read]
        for described, number in zip(descriptions, seeds, strict=True):
            if isinstance(described, EncodedRecording):
                pictures = self.paint_from(described.condition, [described.source], samples=samples, seed=number)
                pictures = dataclasses.replace(pictures, segments=described.segments, log_mel=described.log_mel)
            else:
                source = Source(text=described.text)
                pictures = self.paint_from(described.condition, [source], samples=samples, seed=number)
            painted.append(pictures)
        one = isinstance(text, str) if recording is None else text is None and not calls.is_list(recording)
        return painted[0] if one else painted

    @torch.inference_mode()
    def hear(self, recording: audio.AnyRecording, *, force: bool = False) -> EncodedRecording:
        """Encode `recording`, which is as for a call and gives the same errors, without painting it."""
        wave = audio.waveform(recording)
        if not force:
            name = str(recording) if isinstance(recording, str | Path) else "recording"
            speech_presence.check(wave, name, "give a spoken description, or force=True to paint it")
        mel = self.encoder.log_mel(wave)
        shown = audio.log_mel(wave) if self.encoder.front == "whisper" else mel
        source = Source(speech=replay.checksum(wave))
        return EncodedRecording(self.encoder.hear([mel]), self.encoder.spans(mel), shown.numpy(), source)

    def read(self, text: str) -> "EncodedText":
        """Encode typed words, without painting them; errors are those of a call."""
        return self.reader(text)

    def paint(
        self,
        condition: Condition,
        *,
        samples: int = 1,
        seed: int = 0,
        first: int = 0,
        stages: int | None = None,
        precision: str | None = None,
    ) -> Pictures:
        """Paint a condition of one caption, heard or read; one picture at a time, so that none depends on the others.

        Args:
            condition: of one caption.
            samples: from 1 to 100.
            seed: at least 0.
            first: number of the first sample; 2 gives what would come third.
            stages: paint only the first so many sizes, for speed; None paints all.
            precision: None for that of the model.

        Raises:
            InputError: if a number is out of range.
        """
        calls.check_numbers(samples, seed)
        noise = self.generator.sample_noise([(seed, sample) for sample in range(first, first + samples)])
        output = self.generator.paint(
            condition, noise, stages=stages, device=self.device, precision=precision or self.precision, batch_size=1
        )
        return Pictures.of(output)

    def paint_from(
        self,
        condition: Condition,
        sources: Sequence[Source],
        *,
        share: float = 0.0,
        samples: int = 1,
        seed: int = 0,
        first: int = 0,
        precision: str | None = None,
    ) -> Pictures:
        """As `paint`, in all sizes, of a condition whose sources are known, so that its pictures can tell them.

        Args:
            sources: one, or the two that it lies between.
            share: how much of the second.
        """
        pictures = self.paint(condition, samples=samples, seed=seed, first=first, precision=precision)
        if self.folder is None:
            return pictures
        about = painted_file.origins(
            self.folder,
            sources,
            pictures.stages[-1],
            condition=condition,
            share=share,
            seed=seed,
            first=first,
            precision=precision or self.precision,
        )
        return dataclasses.replace(pictures, origins=about)
