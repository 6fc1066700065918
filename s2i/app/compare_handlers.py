"""The comparison: one recording painted from the sound, from the words recognised and from the words said."""

from typing import Any

import gradio as gr

from datasets.errors import InputError
from s2i.app import view
from s2i.app.backend import Backend, joined, sentence, whole_seed
from s2i.model.session import Description


class CompareHandlers:
    """Paints the ways side by side."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def compare(
        self,
        described: Description | None,
        said: str,
        seed: float,
        sample: int,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (how gradio wants it)
    ) -> tuple[str, str]:
        """One recording painted directly, by way of the words that were recognised, and of those that were said.

        Where Whisper is installed, what it recognises is a way of its own.
        """
        try:
            if described is None or described.wave is None:
                raise InputError("compare: needs one recording; record something, or let a sentence be said for you")
            progress(0.1, desc="listening")
            heard = joined(self.backend.session.words(described.wave))
            said = said.strip() or described.text
            truth = said or heard
            parts = []
            ways: list[tuple[str, str, Description | None, str]] = [
                ("Direct", "from the sound, no words", described, "")
            ]
            written = [("Transcribed", heard, "the recogniser understood nothing")]
            whispered = self.backend.session.whisper_words(described.wave)
            if whispered is not None:
                written.append(("Transcribed by Whisper", whispered, "Whisper understood nothing"))
            written.append(("Typed", said, "type below what was really said"))
            for title, words, missing in written:
                try:
                    read = self.backend.session.read(words) if words else None
                    ways.append((title, f"“{words}”" if words else missing, read, ""))
                except (InputError, OSError) as error:
                    ways.append((title, f"“{words[:100]}”", None, sentence(error)))
            for number, (title, words, way, remark) in enumerate(ways):
                progress((number + 1) / (len(ways) + 1), desc=f"painting: {title.lower()}")
                picture = (
                    None if way is None else self.backend.session.paint(way, whole_seed(seed), sample - 1).stages[-1][0]
                )
                parts.append(view.card(title, words, picture, self._scores(picture, truth, described), remark))
            known = "what was said" if said else "what the recogniser understood, as what was said is not known"
            judge = (
                "No held-out judge is installed."
                if self.backend.matcher is None
                else f"The held-out judge compares with {known}."
            )
            line = f"The same noise ({whole_seed(seed)}) each time. {judge}"
            return view.cards(parts, "three" if len(parts) == 3 else "four"), view.status(line)
        except (InputError, OSError) as error:
            return "", view.status(sentence(error), bad=True)

    def _scores(self, picture: Any, truth: str, described: Description) -> list[str]:
        if picture is None:
            return []
        lines = []
        if self.backend.matcher is not None and truth:
            match = self.backend.matcher(picture, truth)
            lines.append(f"held-out judge: rank {match.rank} of {match.of} descriptions (cosine {match.cosine:.2f})")
        cosine = self.backend.speech_match(picture, described.condition)
        return [*lines, f"the encoder that the painter was trained with: cosine {cosine:.2f} with the speech"]
