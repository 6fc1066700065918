"""RAVDESS: which recordings of acted emotions a folder holds, by their official names, and what each name tells.

Livingstone and Russo 2018: The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 13(5).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import cli
from datasets.errors import InputError

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""In the order of their numbers 01 to 08."""
VOICES = ("female", "male")
ACTORS = 24
SPEECH = 1
FIELDS = {  # of a file name, in order, each with its largest number
    "modality": 3,
    "channel": 2,
    "emotion": len(EMOTIONS),
    "intensity": 2,
    "statement": 2,
    "repetition": 2,
    "actor": ACTORS,
}
SCHEME = "03-01-EE-II-SS-RR-AA"
NAME = re.compile(r"\d\d(-\d\d){6}")
SHOWN = 3  # names that a message lists before it counts the others


@dataclass(frozen=True)
class Recording:
    """One recording, as its name tells it."""

    path: Path
    emotion: int
    """Index into `EMOTIONS`."""
    intensity: int
    """0 normal, 1 strong."""
    statement: int
    """0 "Kids are talking by the door", 1 "Dogs are sitting by the door"."""
    repetition: int
    """0 or 1."""
    actor: int
    """1 to 24."""

    @property
    def voice(self) -> int:
        """Index into `VOICES`: actors of even number are women, the others men."""
        return self.actor % 2


@dataclass(frozen=True)
class Ravdess:
    """The speech recordings of a folder.

    Attributes:
        recordings: sorted by name, so that they are in the same order on every machine.
        remarks: what a person should know of the folder, one line each: actors that are missing, files left out.
    """

    recordings: list[Recording]
    remarks: list[str]

    @property
    def actors(self) -> list[int]:
        """The numbers of the actors that are there, ascending."""
        return sorted({recording.actor for recording in self.recordings})


def default_root() -> Path:
    """The folder that RAVDESS_ROOT names, or data/ravdess in the checkout, or else beside it, in shared/data."""
    if named := os.environ.get("RAVDESS_ROOT"):
        return Path(named).absolute()
    inside = cli.workplace() / "data" / "ravdess"
    beside = cli.workplace().parent / "shared" / "data" / "ravdess"
    return beside if beside.is_dir() and not inside.is_dir() else inside


def read(root: str | Path) -> Ravdess:
    """List the speech recordings below `root`; the files themselves are not opened.

    Song recordings and second copies of a name (some downloads hold everything twice, which would put the same
    recording into training and test) are left out and told, and so is which actors are missing.

    Raises:
        InputError: if `root` is not a folder or holds no speech, or for names that do not follow the scheme or
            contradict the folder `Actor_NN` that they lie in.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: RAVDESS not found; set RAVDESS_ROOT to the folder that holds Actor_01 to Actor_24")
    speech: dict[str, Recording] = {}
    strange, songs, copies = [], [], []
    from datasets import audio  # torch takes a second to import, which --help need not wait for

    for path in audio.find_recordings([root]):
        numbers = _numbers(path)
        if numbers is None:
            strange.append(path.relative_to(root).as_posix())
        elif numbers["channel"] != SPEECH:
            songs.append(path.name)
        elif path.stem in speech:
            copies.append(path.name)
        else:
            rest = {name: numbers[name] - 1 for name in ("emotion", "intensity", "statement", "repetition")}
            speech[path.stem] = Recording(path=path, actor=numbers["actor"], **rest)
    if strange:
        raise InputError(
            f"{root}: {_listed(strange)} not named by the scheme {SCHEME} of RAVDESS; rename or remove what does not "
            "belong there"
        )
    if not speech:
        what = f"only song ({len(songs)} recordings)" if songs else "no recordings"
        raise InputError(f"{root}: holds {what}; give the speech part, Actor_01 to Actor_24")
    found = Ravdess([speech[name] for name in sorted(speech)], [])
    missing = [f"{actor:02}" for actor in range(1, ACTORS + 1) if actor not in found.actors]
    if missing:
        several = "actors" if len(missing) > 1 else "actor"
        found.remarks.append(
            f"{root}: {several} {', '.join(missing)} missing; goes on with the {len(found.actors)} there"
        )
    if songs:
        found.remarks.append(f"{root}: skips {len(songs)} song recordings ({_listed(songs)})")
    if copies:
        found.remarks.append(f"{root}: skips {len(copies)} second copies ({_listed(copies)})")
    return found


def _numbers(path: Path) -> dict[str, int] | None:
    """The numbers in the name of `path`, or None if it does not follow the scheme or contradicts its folder."""
    if not NAME.fullmatch(path.stem):
        return None
    numbers = dict(zip(FIELDS, map(int, path.stem.split("-")), strict=True))
    in_range = all(1 <= numbers[name] <= largest for name, largest in FIELDS.items())
    neutral_and_strong = numbers["emotion"] == 1 and numbers["intensity"] == 2  # of which there is none
    folder = re.fullmatch(r"Actor_(\d\d)", path.parent.name)
    elsewhere = folder is not None and int(folder[1]) != numbers["actor"]
    return numbers if in_range and not neutral_and_strong and not elsewhere else None


def _listed(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
