"""The command that paints recordings: `scripts/generate.sh recording.wav --output DIR`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tyro.conf import Positional, UseAppendAction

from attngan.runtime.training_options import HALF, SINGLE
from datasets import cli, manifest
from datasets.errors import InputError
from datasets.files import make_folder
from datasets.recordings import load_checked, noting, read_each

if TYPE_CHECKING:
    from torch import Tensor

    from s2i.model.pictures import Pictures
    from s2i.model.session import Description, Session

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
    manifest: Path | None = None
    """CSV with a row for each picture: recording (or text) and, each optional, seed and output, a name in --output. Of
    an output that ends in .png only the largest picture is written, under just this name."""
    output: Path = Path("outputs")
    """Folder for the pictures, by default `outputs` where you are; also -o. They are called NAME-64.png and so on after
    the recording. Other pictures of that name stay, and the new ones get the name NAME-seed1-64.png, of the seed."""
    samples: int = 1
    """How many pictures of each recording; with several they are called NAME-1-64.png and so on."""
    seed: int = 0
    """Chooses among the pictures of a description; the same seed gives the same pictures."""
    replay: Path | None = None
    """A PNG that was painted, or the JSON that the page gives with it (scripts/app.sh), to paint that one again; beside
    a JSON name its recording too if it was spoken."""
    force: bool = False
    """Paint recordings that hold no speech, too: music, noise, a bird's song."""
    attention: bool = False
    """Draw as NAME-attention.png which segment of speech, or which word, painted which region (of the first sample)."""
    model: Path = Path("pretrained")
    """Folder with speech.safetensors and generator.safetensors (and damsm.safetensors, for --text)."""
    device: str = "auto"
    """auto (a GPU where there is one), cpu or cuda."""
    half: bool = False
    """Paint in bfloat16, which is faster on some machines; colours differ by about 1 of 255."""
    json: bool = False
    """Print a line of JSON for each description: what was painted, seed, files and notes, or what was wrong."""

    here: ClassVar[tuple[str, ...]] = ("output",)

    def __post_init__(self) -> None:
        cli.check_range("samples", self.samples, 1, MAX_SAMPLES)
        cli.check_range("seed", self.seed, 0)
        given = self.text or self.microphone or self.samples > 1 or self.seed or self.half or self.manifest
        if self.replay is not None and given:
            left = "--text, --microphone, --samples, --seed, --half and --manifest"
            raise InputError(f"--replay: the file tells all; leave out {left}")


@dataclass(frozen=True)
class Job:
    """One description to paint.

    Attributes:
        title: the recording or the text, as it was named.
        wave: [N] at 16 kHz, or None of a text.
        name: of the pictures; nothing of a text, whose words name them.
        seed: of the noise.
        alone: whether only the largest picture is wanted, under just this name.
    """

    title: str
    wave: "Tensor | None"
    name: str
    seed: int
    alone: bool = False


def main(arguments: list[str]) -> int:
    """Paint what the command line asks for; 2 if a recording could not be, else 0."""
    description = "Paint spoken descriptions of birds: every recording becomes one picture of each size."
    config = cli.parse_tool(GenerateConfig, arguments, description=description)
    if not (config.recordings or config.text or config.microphone or config.replay or config.manifest):
        raise InputError(
            "recordings: none given; name at least one recording, or a folder of them, or give --microphone, --text or "
            "--manifest"
        )
    return replay(config, config.replay) if config.replay else generate(config)


def generate(config: GenerateConfig) -> int:
    """Paint everything that can be painted and print where the pictures are; 2 if any could not be, else 0.

    Raises:
        InputError: for a bad model, manifest or device, no microphone, words that are none, or an output folder that
            cannot be written; pictures saved before stay.
    """
    failures: list[InputError] = []
    session, told = None, 0
    for job in _jobs(config, failures):
        told = _tell_failures(config, failures, told)
        if session is None:  # the model is loaded once there is something to paint
            session = _open(config)
        described = (
            session.read(job.title) if job.wave is None else session.hear(job.wave, job.title, force=config.force)
        )
        for note in described.notes:
            print(f"note: {note}", file=sys.stderr)
        pictures = session.paint(described, job.seed, samples=config.samples)
        _save(pictures, described, job, config)
    _tell_failures(config, failures, told)
    return 2 if failures else 0


def replay(config: GenerateConfig, path: Path) -> int:
    """Paint the picture of a replay file again, and say whether it is the same to the last bit; 0.

    Raises:
        InputError: for a replay file, a model or recordings that do not fit together, or as `generate`.
    """
    from datasets import audio
    from s2i.model import painted_file, picture_names

    origin = painted_file.read(path)
    session = _open(config)
    waves = [(str(place), audio.load(place)) for place in config.recordings]
    pictures, described, same = session.repaint(origin, waves)
    about = origin.painting
    name = picture_names.of_picture(path, session.model.generator.resolutions)
    _save(pictures, described, Job(str(path), described.wave, name, about.seed), config)
    if not same:
        print(
            f"note: {path}: the pixels differ from those of then, as they do where another machine or version of torch "
            f"rounds differently ({', '.join(f'{key} {value}' for key, value in about.versions.items())})",
            file=sys.stderr,
        )
    return 0


def _jobs(config: GenerateConfig, failures: list[InputError]) -> Iterator[Job]:
    """What is to be painted, one after the other: what is said now, typed words, recordings, and a manifest's rows."""
    check = None if config.force else _check_speech()
    tasks = manifest.read(config.manifest) if config.manifest else []  # before anything is painted
    if config.microphone:  # first, so that nobody waits for it
        from s2i.model import microphone

        name, wave = microphone.name(), microphone.record()
        if check is not None:
            check(wave, "--microphone")
        yield Job(name, wave, name, config.seed)
    for text in config.text:
        yield Job(text, None, "", config.seed)
    if config.recordings:
        for recording in read_each(config.recordings, failures, check):
            yield Job(str(recording.path), recording.wave, recording.name, config.seed)
    for task in tasks:
        seed = config.seed if task.seed is None else task.seed
        alone = task.output.lower().endswith(".png")
        name = task.output[:-4] if alone else task.output
        if task.recording is None:
            yield Job(task.text, None, name, seed, alone)
            continue
        loaded = None
        with noting(failures, task.place):
            loaded = load_checked(task.recording, check)
        if loaded is not None:
            yield Job(str(task.recording), loaded, name or task.recording.stem, seed, alone)


def _check_speech() -> "Callable[[Tensor, str], None]":
    """What refuses a recording without speech."""

    def check(wave: "Tensor", name: str) -> None:
        from s2i.model import speech_presence  # torch takes a second to import

        speech_presence.check(wave, name)

    return check


def _tell_failures(config: GenerateConfig, failures: list[InputError], told: int) -> int:
    """Print as JSON, where that is wanted, the failures from number `told` on; returns how many there are."""
    for failure in failures[told:] if config.json else ():
        print(json.dumps({"error": " ".join(str(failure).split())}), flush=True)
    return len(failures)


def _open(config: GenerateConfig) -> "Session":
    from s2i.model.session import Session  # torch takes a second to import, which --help need not wait for

    make_folder(config.output)
    return Session(config.model, config.device, precision=HALF if config.half else SINGLE)


def _save(pictures: "Pictures", described: "Description", job: Job, config: GenerateConfig) -> None:
    """Save what was painted and print where; show the largest picture where the terminal can."""
    from s2i.model import picture_names

    title = job.name or picture_names.of_words(described.parts)
    name = picture_names.unused(lambda name: pictures.files(config.output, name, alone=job.alone), title, job.seed)
    paths = pictures.save(config.output, name, alone=job.alone)
    largest = paths[-1]
    if config.attention and pictures.attention:
        if pictures.segments or described.parts:
            from s2i.model.attention_figure import save_figure  # matplotlib is slow to import

            paths.append(config.output / f"{name}-attention.png")
            save_figure(paths[-1], pictures, title=title, words=described.parts)
        else:
            print("note: --attention needs the recording, to show its segments; name it as well", file=sys.stderr)
    if config.json:
        about = {"source": job.title, "seed": job.seed, "files": list(map(str, paths)), "notes": list(described.notes)}
        print(json.dumps(about), flush=True)
        return
    for path in paths:
        print(path, flush=True)
    if sys.stdout.isatty() and shows_pictures():
        from base64 import b64encode

        data = b64encode(largest.read_bytes()).decode()
        print(f"\033]1337;File=inline=1;width=40;preserveAspectRatio=1:{data}\a")


def shows_pictures() -> bool:
    """Whether the terminal understands iTerm2's inline pictures (iTerm2 and WezTerm do)."""
    return os.environ.get("TERM_PROGRAM", "").lower() in ("iterm.app", "wezterm")


if __name__ == "__main__":
    cli.run(main)
