"""A table of what is to be painted: a recording or a text in each row and, optional, its seed and its output."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datasets.errors import InputError
from datasets.file_names import find_file

COLUMNS = ("recording", "text", "seed", "output")
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Task:
    """One row of a manifest.

    Attributes:
        place: names the row in messages.
        recording: the file, or None of a row that has a text.
        text: the words, or nothing of a row that has a recording.
        seed: None where the row has none.
        output: name of its pictures, relative to the folder of all; nothing where the row has none.
    """

    place: str
    recording: Path | None
    text: str
    seed: int | None
    output: str


def read(path: Path) -> list[Task]:
    """The rows of a manifest; recordings are relative to it.

    Raises:
        InputError: naming the line, for a column that is unknown or missing, a recording that is not found, a row with
            neither recording nor text or with both, a seed that is none, or an output that another row has or that
            leaves the folder.
    """
    from datasets import csv_source  # imports torch, which --help need not wait for

    rows = csv_source.rows(path, ())
    if not rows:
        raise InputError(f"{path}: has no rows; add a line for each picture")
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise InputError(f"{path}: column {unknown[0]!r} is unknown; name the columns {', '.join(COLUMNS)}")
    tasks = [_task(path, line, row) for line, row in rows]
    outputs: dict[str, str] = {}
    for task in tasks:
        earlier = outputs.setdefault(task.output.casefold(), task.place) if task.output else task.place
        if earlier != task.place:
            raise InputError(f"{task.place}: output {task.output} is that of {earlier} as well; give each its own")
    return tasks


def _task(path: Path, line: int, row: dict[str, str]) -> Task:
    place = f"{path}: line {line}"
    recording, text = row.get("recording", ""), row.get("text", "")
    if bool(recording) == bool(text):
        wrong = "has a recording and a text" if text else "has neither recording nor text"
        raise InputError(f"{place}: {wrong}; give one of the two")
    found = find_file(path.parent, recording) if recording else None
    if recording and found is None:
        raise InputError(f"{place}: recording {recording} not found; mend the path")
    return Task(place, found, text, _seed(place, row.get("seed", "")), _output(place, row.get("output", "")))


def _seed(place: str, value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and int(value[:20]) <= LARGEST_SEED):
        raise InputError(f"{place}: seed {value[:40]} is no whole number from 0 to {LARGEST_SEED}; mend it")
    return int(value)


def _output(place: str, value: str) -> str:
    parts = PurePosixPath(value).parts
    if value and (".." in parts or PurePosixPath(value).is_absolute() or not parts or "\0" in value):
        raise InputError(f"{place}: output {value} lies outside of --output; name a file in it")
    return value
