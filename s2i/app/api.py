"""The functions of the page's API, which programs call: plain values in, files out."""

import gradio as gr

from datasets.errors import InputError
from s2i.app import recording as recordings
from s2i.app.backend import Backend, sentence, whole_seed
from s2i.model.session import Description


class Api:
    """The functions that the page documents for programs."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def speech(self, recording: str, seed: float = 0) -> list[str]:
        """Paint a recording: four PNG files, 64, 128, 256 and 512 px."""
        return self._hear(recording, seed)

    def sound(self, recording: str, seed: float = 0) -> list[str]:
        """Paint a recording as `speech` does, even if it holds none."""
        return self._hear(recording, seed, force=True)

    def _hear(self, recording: str, seed: float, *, force: bool = False) -> list[str]:
        try:
            if not recording:
                raise InputError("recording: none given; give a file")
            return self._paint(self.backend.session.hear(recordings.read(recording), force=force), seed)
        except (InputError, OSError) as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        finally:
            self.backend.uploads.drop(recording or "")

    def text(self, text: str, seed: float = 0) -> list[str]:
        """Paint a typed description: four PNG files, 64, 128, 256 and 512 px."""
        try:
            return self._paint(self.backend.session.read(text), seed)
        except (InputError, OSError) as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    def _paint(self, described: Description, seed: float) -> list[str]:
        pictures = self.backend.session.paint(described, whole_seed(seed))
        with self.backend.new_folder() as folder:
            return [str(path) for path in pictures.save(folder, "bird")]
