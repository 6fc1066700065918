"""The functions of the page's API, which programs call: plain values in and out."""

import gradio as gr
from PIL import Image

from datasets.errors import InputError
from s2i.app import recording as recordings
from s2i.app.backend import Backend, sentence, whole_seed
from s2i.model.session import Description


class Api:
    """The functions that the page documents for programs."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def speech(self, recording: str, seed: float = 0) -> list[Image.Image]:
        """Paint a recording: four pictures, 64, 128, 256 and 512 px."""
        try:
            wave = recordings.read(recording)
            return self._images(self.backend.session.hear(wave), seed)
        except InputError as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        finally:
            self.backend.uploads.drop(recording)

    def text(self, text: str, seed: float = 0) -> list[Image.Image]:
        """Paint a typed description: four pictures, 64, 128, 256 and 512 px."""
        try:
            return self._images(self.backend.session.read(text), seed)
        except InputError as error:
            raise gr.Error(sentence(error), print_exception=False) from error

    def _images(self, described: Description, seed: float) -> list[Image.Image]:
        self.backend.uploads.sweep()
        pictures = self.backend.session.paint(described, whole_seed(seed))
        return [pictures.image(stage=stage) for stage in range(len(pictures.stages))]
