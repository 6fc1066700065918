"""The command that paints recordings: `scripts/generate.sh recording.wav --output DIR`."""

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tyro.conf import Positional, UseAppendAction

from datasets import cli
from datasets.errors import InputError
from datasets.files import make_folder
from datasets.recordings import Recording, read_each

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from s2i.model.pipeline import Pictures
    from s2i.model.session import Session

MAX_SAMPLES = 100


@dataclass(frozen=True)
class GenerateConfig:
    """What is painted, how often, and where the pictures go."""

    recordings: Positional[tuple[Path, ...]] = ()
    """Recordings (wav, flac, ogg, mp3, m4a, aac, webm; 0.3 to 30 s), or folders of them."""
    microphone: bool = False
    """Record a description now, until silence or Enter."""
    text: UseAppendAction[tuple[str, ...]] = ()
    """A description in English to paint from its words, without speech; may be given several times."""
    output: Path = Path("outputs")
    """Folder for the pictures, by default `outputs` where you are; NAME-64.png and so on, after the recording. Other
    pictures of that name stay, and the new ones are then called NAME-seed1-64.png, after the seed."""
    samples: int = 1
    """How many pictures of each recording; with several they are called NAME-1-64.png and so on."""
    seed: int = 0
    """Chooses among the pictures of a description; the same seed gives the same pictures."""
    replay: Path | None = None
    """The JSON that the page gives with a picture (scripts/app.sh), to paint that one again; name its recording too
    if it was spoken."""
    force: bool = False
    """Paint recordings that hold no speech, too: music, noise, a bird's song."""
    attention: bool = False
    """Draw as NAME-attention.png which segment of speech, or which word, painted which region (of the first sample)."""
    model: Path = Path("pretrained")
    """Folder with speech.safetensors and generator.safetensors (and damsm.safetensors, for --text)."""

    here: ClassVar[tuple[str, ...]] = ("output",)

    def __post_init__(self) -> None:
        cli.check_range("samples", self.samples, 1, MAX_SAMPLES)
        cli.check_range("seed", self.seed, 0)
        if self.replay is not None and (self.text or self.microphone or self.samples > 1 or self.seed):
            raise InputError("--replay: the file tells all; leave out --text, --microphone, --samples and --seed")


def main(arguments: list[str]) -> int:
    """Paint what the command line asks for; 2 if a recording could not be, else 0."""
    description = "Paint spoken descriptions of birds: every recording becomes one picture of each size."
    config = cli.parse_tool(GenerateConfig, arguments, description=description)
    if not (config.recordings or config.text or config.microphone or config.replay):
        raise InputError(
            "recordings: none given; name at least one recording, or a folder of them, or give --microphone or --text"
        )
    return replay(config, config.replay) if config.replay else generate(config)


def generate(config: GenerateConfig) -> int:
    """Paint everything that can be painted and print where the pictures are; 2 if any could not be, else 0.

    Raises:
        InputError: for a bad model, no microphone, words that are none, or an output folder that cannot be written;
            pictures saved before stay.
    """
    failures: list[InputError] = []
    session = None
    for description in _descriptions(config, failures):
        if session is None:  # the model is loaded once there is something to paint
            session = _open(config)
        if isinstance(description, str):
            text = session.read(description)
            for note in text.notes:
                print(f"note: {note}", file=sys.stderr)
            pictures = session.paint(text, config.seed, samples=config.samples)
            _save(pictures, name_of(text.parts), config, seed=config.seed, words=text.parts)
        else:
            heard = session.hear(description.wave, force=config.force)
            for note in heard.notes:
                print(f"note: {description.name}: {note}", file=sys.stderr)
            pictures = session.paint(heard, config.seed, samples=config.samples)
            _save(pictures, description.name, config, seed=config.seed)
    return 2 if failures else 0


def replay(config: GenerateConfig, path: Path) -> int:
    """Paint the picture of a replay file again, and say whether it is the same to the last bit; 0.

    Raises:
        InputError: for a replay file, a model or recordings that do not fit together, or as `generate`.
    """
    from datasets import audio
    from s2i.model.replay import load

    about = load(path)
    session = _open(config)
    waves = [(str(place), audio.load(place)) for place in config.recordings]
    pictures, same = session.repaint(about, waves)
    typed = about.sources[0].text if len(about.sources) == 1 else ""
    _save(pictures, path.stem, config, seed=about.seed, words=session.read(typed).parts if typed else ())
    if not same:
        print(
            f"note: {path}: the pixels differ from those of then, as they do where another machine or version of torch "
            f"rounds differently ({', '.join(f'{key} {value}' for key, value in about.versions.items())})",
            file=sys.stderr,
        )
    return 0


def name_of(words: Iterable[str]) -> str:
    """What pictures of typed `words` are called: the words, cut at 60 characters."""
    return "-".join(words)[:60].rstrip("-")


def _descriptions(config: GenerateConfig, failures: list[InputError]) -> "Iterator[Recording | str]":
    """What is to be painted, one after the other: what is said now, typed words, and recordings."""
    check: Callable[[Tensor, str], None] | None = None
    if (config.microphone or config.recordings) and not config.force:
        from s2i.model import speech_presence  # torch takes a second to import

        check = speech_presence.check

    if config.microphone:  # first, so that nobody waits for it
        from s2i.model import microphone

        spoken = Recording(microphone.name(), microphone.record())
        if check is not None:
            check(spoken.wave, "--microphone")
        yield spoken
    yield from config.text
    if config.recordings:
        yield from read_each(config.recordings, failures, check)


def _open(config: GenerateConfig) -> "Session":
    from s2i.model.session import Session  # torch takes a second to import, which --help need not wait for

    make_folder(config.output)
    return Session(config.model)


def _save(pictures: "Pictures", name: str, config: GenerateConfig, *, seed: int, words: tuple[str, ...] = ()) -> None:
    """Save what was painted and print where; show the largest picture where the terminal can."""
    title, name = name, _unused(pictures, name, config.output, seed)
    paths = pictures.save(config.output, name)
    largest = paths[-1]
    if config.attention and pictures.attention and (pictures.segments or words):
        from s2i.model.attention_figure import save_figure  # matplotlib is slow to import

        paths.append(config.output / f"{name}-attention.png")
        save_figure(paths[-1], pictures, title=title, words=words)
    for path in paths:
        print(path, flush=True)
    if sys.stdout.isatty() and shows_pictures():
        from base64 import b64encode

        data = b64encode(largest.read_bytes()).decode()
        print(f"\033]1337;File=inline=1;width=40;preserveAspectRatio=1:{data}\a")


def _unused(pictures: "Pictures", name: str, folder: Path, seed: int) -> str:
    """A name under which no other pictures lie in a folder: `name`, or else with the seed, or else with a number."""
    names = itertools.chain([name, f"{name}-seed{seed}"], (f"{name}-seed{seed}-{n}" for n in itertools.count(2)))
    free = next(each for each in names if all(_is_or_may_be(*file) for file in pictures.files(folder, each)))
    if free != name:
        print(f"note: {folder / name}: other pictures have this name; the new ones are called {free}", file=sys.stderr)
    return free


def _is_or_may_be(path: Path, pixels: "np.ndarray") -> bool:
    """Whether a file is not there, or shows just these `pixels` [S, S, 3]."""
    if not os.path.lexists(path):
        return True
    import numpy as np

    from datasets import picture_file

    try:
        return np.array_equal(np.asarray(picture_file.decode(picture_file.read(path), str(path))), pixels)
    except InputError:  # it is something else
        return False


def shows_pictures() -> bool:
    """Whether the terminal understands iTerm2's inline pictures (iTerm2 and WezTerm do)."""
    return os.environ.get("TERM_PROGRAM", "").lower() in ("iterm.app", "wezterm")


if __name__ == "__main__":
    cli.run(main)
