"""What all handlers of the page share: the model, the networks that score pictures, and the uploaded files."""

import errno
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import gradio as gr
import torch

from datasets import audio
from datasets.errors import InputError
from s2i.app.matching import HeldOutMatcher, SpeechMatch, load_held_out_matcher
from s2i.app.texts import SENTENCES
from s2i.app.uploads import Uploads
from s2i.model.session import Description, Session, Words

MAX_SEED = 2**31 - 1
STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
NO_RECORDING = "record something, drop a file, or click an example first"


class Backend:
    """The model and the files behind the page.

    Args:
        session: the model.
        scratch: a folder for files to download, and where gradio keeps uploads.
    """

    def __init__(self, session: Session, scratch: Path) -> None:
        self.session = session
        self.scratch = scratch
        self.uploads = Uploads(scratch)

    @cached_property
    def matcher(self) -> HeldOutMatcher | None:
        """The held-out DAMSM, where there is one."""
        return load_held_out_matcher(self.session.folder.path)

    @cached_property
    def speech_match(self) -> SpeechMatch:
        """The encoder that the generator was trained with."""
        return SpeechMatch(self.session.folder.path)

    def warm_up(self) -> None:
        """Load what was not needed to show the page, and paint once, so that nobody waits for it."""
        with suppress(InputError):  # what is wrong is told to those who come across it
            described = self.session.read(SENTENCES[0])
            picture = self.session.paint(described, 0).stages[-1][0]
            self.speech_match(picture, described.condition)
            if self.matcher:
                self.matcher(picture, SENTENCES[0])
            self.session.words(torch.randn(audio.SAMPLE_RATE, generator=torch.Generator().manual_seed(0)) / 100)

    def ends(self, described: Description | None, second: str) -> tuple[Description, Description]:
        """A description and a second sentence, said if the first was, so that like is mixed with like.

        Raises:
            InputError: if there is no description, or the sentence cannot be read or said.
        """
        if described is None:
            raise InputError(f"morph: there is no first description; {NO_RECORDING}")
        one = described.ends[0] if described.ends else described
        return one, self.session.say(second) if one.spoken else self.session.read(second)

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """A folder for files to download, which goes at once if it cannot be filled.

        Raises:
            OSError: if the disk is full.
        """
        self.uploads.sweep()
        folder = Path(tempfile.mkdtemp(dir=self.scratch, prefix="downloads-"))
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def close(self, request: gr.Request) -> None:
        """Remove what a person who left had uploaded."""
        self.uploads.release(str(request.session_hash))


def whole_seed(value: float | None) -> int:
    """A whole number from what a number field may hold.

    Raises:
        InputError: if it is none, or out of range.
    """
    if isinstance(value, bool) or value is None or value != int(value) or not 0 <= value <= MAX_SEED:
        raise InputError(f"noise number: should be a whole number from 0 to {MAX_SEED}; give such a number")
    return int(value)


def any_seed() -> int:
    """A seed by chance."""
    return secrets.randbelow(MAX_SEED)


def storage_failure(error: BaseException) -> str | None:
    """What to say of an error by which a file could not be stored here; None of any other."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in STORAGE:
            return f"files cannot be stored on the page's computer ({cause.strerror}); free some space there, try again"
        cause = cause.__cause__
    return None


def sentence(error: InputError | OSError) -> str:
    """An error as the page says it.

    Raises:
        OSError: if it is one that has nothing to do with storing files.
    """
    text = storage_failure(error)
    if text is None:
        if isinstance(error, OSError):
            raise error
        text = str(error)
    return text[:1].upper() + text[1:] + "."


def joined(words: Words) -> str:
    """Words without their times."""
    return " ".join(word for word, _, _ in words)
