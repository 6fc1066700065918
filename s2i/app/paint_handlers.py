"""The handlers of speaking and typing: each takes what the page holds and gives, stage by stage, what it shows."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from datasets.errors import InputError
from s2i.app import recording as recordings
from s2i.app import view
from s2i.app.backend import NO_RECORDING, Backend, any_seed, joined, sentence, whole_seed
from s2i.model.pipeline import Pictures
from s2i.model.session import Description, Words
from s2i.model.speech_presence import NoSpeechError

NO_SPEECH = (
    "recording: holds no speech, as far as can be told (music, noise and songs of birds are none); "
    "record a spoken description, or press Paint to paint it all the same"
)
MOST_REFUSED = 1000  # people whose recordings are remembered
Shown = tuple[Any, Any, Any, Any, Any]  # viewer, status, description, seed, what was said


class PaintHandlers:
    """Paints the large picture."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._refused: dict[str, str] = {}  # the recording without speech of each person

    def new_recording(
        self, path: str | None, at_once: bool, seed: float, sample: int, keep: bool, request: gr.Request
    ) -> Iterator[Shown]:
        """Paint a recording that has just ended, where that is wanted."""
        if path and at_once:
            yield from self.speech(path, seed, sample, keep, request)
        else:
            yield (gr.skip(),) * 5

    def speech(self, path: str | None, seed: float, sample: int, keep: bool, request: gr.Request) -> Iterator[Shown]:
        """Paint a recording."""

        def describe() -> Description:
            if not path:
                raise InputError(f"recording: none given; {NO_RECORDING}")
            person = str(request.session_hash)
            self.backend.uploads.use(person, path)
            self.backend.uploads.sweep()
            wave, again = recordings.read(path), self._refused.pop(person, None) == path
            try:
                return self.backend.session.hear(wave, force=again)
            except NoSpeechError as error:
                if len(self._refused) >= MOST_REFUSED:
                    self._refused.clear()
                self._refused[person] = path
                raise InputError(NO_SPEECH) from error

        yield from self._paint(describe, seed, sample, keep)

    def text(self, text: str, seed: float, sample: int, keep: bool) -> Iterator[Shown]:
        """Paint what was typed."""
        yield from self._paint(lambda: self.backend.session.read(text), seed, sample, keep)

    def say(self, text: str, voice: str, seed: float, sample: int, keep: bool) -> Iterator[Shown]:
        """Say what was typed, and paint what was heard."""
        yield from self._paint(lambda: self.backend.session.say(text, voice), seed, sample, keep)

    def again(self, described: Description | None, seed: float, sample: int) -> Iterator[Shown]:
        """Paint the same description with other noise."""
        if described is not None:
            for viewer, status, _, number, _ in self._paint(lambda: described, seed, sample, True):
                yield viewer, status, gr.skip(), number, gr.skip()

    def mixture(
        self, described: Description | None, second: str, share: float, seed: float, sample: int
    ) -> Iterator[Shown]:
        """Paint what lies between the description and a second sentence, in all sizes."""

        def describe() -> Description:
            one, other = self.backend.ends(described, second)
            return self.backend.session.between(one, other, share / 100)

        yield from self._paint(describe, seed, sample, True)

    def _paint(self, describe: Callable[[], Description], seed: float, sample: int, keep: bool) -> Iterator[Shown]:
        start = time.monotonic()
        number: Any = seed
        try:
            number = whole_seed(seed) if keep else any_seed()
            described = describe()
            wanted = len(self.backend.session.model.generator)
            for pictures in self.backend.session.stages(described, number, sample - 1):
                resolution = pictures.stages[-1].shape[1]
                line = f"Painted {resolution} px after {time.monotonic() - start:.1f} s."
                yield (
                    view.viewer(described, pictures, wanted=wanted),
                    view.status(line, notes=described.notes, done=(len(pictures.stages), wanted)),
                    described,
                    number,
                    described.text,
                )
            words, notes = self._words(described)
            line = f"{line} {self._match_sentence(described, pictures, words)}".strip()
            yield (
                view.viewer(described, pictures, words, wanted),
                view.status(line, notes=[*described.notes, *notes]),
                described,
                number,
                gr.skip(),
            )
        except (InputError, OSError) as error:
            yield gr.skip(), view.status(sentence(error), bad=True), gr.skip(), number, gr.skip()

    def _words(self, described: Description) -> tuple[Words, list[str]]:
        """What the recogniser understood, or why it did not."""
        if described.wave is None:
            return [], []
        try:
            return self.backend.session.words(described.wave), []
        except InputError as error:
            return [], [f"no words are shown along the sound ({error})"]

    def _match_sentence(self, described: Description, pictures: Pictures, words: Words) -> str:
        """A sentence about how well the picture matches."""
        picture, heard = pictures.stages[-1][0], joined(words)
        understood = f"A speech recogniser, which the painter does not use, understood: “{heard}”." if heard else ""
        text = described.text or heard
        if self.backend.matcher is not None and text and described.ends is None:
            match = self.backend.matcher(picture, text)
            return (
                f"{understood} Of {match.of} descriptions, a judge that the painter never met ranks "
                f"{'yours' if described.text else 'these words'} number {match.rank} for this picture."
            )
        return understood
