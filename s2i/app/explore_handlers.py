"""The handlers of exploring: variations, morphs from one sentence to another, and files to download."""

from pathlib import Path
from typing import Any

import gradio as gr

from datasets.errors import InputError
from datasets.files import write_text
from s2i.app import recording, view
from s2i.app.backend import NO_RECORDING, Backend, sentence, whole_seed
from s2i.model.session import Description

MORPH_STEPS = 7
MORPH_STAGES = 3  # which are small and quick


class ExploreHandlers:
    """Goes on from a description that was painted."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def four(
        self,
        described: Description | None,
        seed: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str]:
        """Four variations of the description."""
        parts = []
        try:
            if described is None:
                raise InputError(f"variations: there is nothing to vary; {NO_RECORDING}")
            for sample in progress.tqdm(range(4), desc="painting variations"):
                picture = self.backend.session.paint(described, whole_seed(seed), sample).stages[-1][0]
                parts.append(view.card(f"Variation {sample + 1}", "", picture, []))
        except (InputError, OSError) as error:
            return "", view.status(sentence(error), bad=True)
        return view.cards(parts, "four"), view.status(f"Four variations of: {described.title}")

    def morph(
        self,
        described: Description | None,
        second: str,
        seed: float,
        sample: int,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[str, str]:
        """From the description to a second sentence in seven pictures."""
        try:
            one, other = self.backend.ends(described, second)
            parts = []
            for step in progress.tqdm(range(MORPH_STEPS), desc="painting"):
                share = step / (MORPH_STEPS - 1)
                between = self.backend.session.between(one, other, share)
                picture = self.backend.session.paint(between, whole_seed(seed), sample - 1, MORPH_STAGES).stages[-1][0]
                parts.append(view.card(f"{share:.0%}", "", picture, []))
        except (InputError, OSError) as error:
            return "", view.status(sentence(error), bad=True)
        line = view.status(f"From “{one.title}” to “{other.title}”.", notes=other.notes)
        return view.cards(parts, "seven"), line

    def files(self, described: Description | None, seed: float, sample: int) -> tuple[Any, str]:
        """Pictures, attention, the JSON to paint them again, and what was heard, as files to download."""
        try:
            if described is None:
                raise InputError(f"download: there is no picture; {NO_RECORDING}")
            paths = self._write(described, whole_seed(seed), sample - 1)
        except (InputError, OSError) as error:
            return gr.update(value=None, visible=False), view.status(sentence(error), bad=True)
        heard = "".join(f" {path.name}" for path in paths if path.suffix == ".wav")
        line = f"The same picture again: scripts/generate.sh --replay bird.json{heard}"
        return gr.update(value=[str(path) for path in paths], visible=True), view.status(line)

    def _write(self, described: Description, seed: int, sample: int) -> list[Path]:
        """Write all files into a new folder; those of a folder that could not be written in full are removed."""
        pictures = self.backend.session.paint(described, seed, sample)
        with self.backend.new_folder() as folder:
            paths = pictures.save(folder, "bird")
            if pictures.attention and described.segments:
                from s2i.model.attention_figure import save_figure  # matplotlib is slow to import

                paths.append(folder / "bird-attention.png")
                save_figure(paths[-1], pictures, title=described.title)
            paths.append(folder / "bird.json")
            write_text(paths[-1], pictures.origins[0].painting.to_json())
            for place, wave in enumerate(described.waves, 1):
                paths.append(recording.write(folder / f"bird-heard-{place}.wav", wave))
        return paths
