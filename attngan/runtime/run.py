"""The run folder of a training, and the loop that every training is."""

import dataclasses
import json
import math
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from attngan.runtime import checkpoint
from attngan.runtime.machine import environment
from attngan.runtime.ranks import ALONE, Ranks, launched
from attngan.runtime.training_options import TrainingOptions
from datasets.cli import as_json
from datasets.errors import InputError
from datasets.files import make_folder, remove_leftovers, replacing, write_text
from datasets.json_file import parse_json, read_json
from datasets.lock import Lock

LONGEST_LINE = 100_000  # bytes, of stats.jsonl; what is longer was not logged here
_OPEN = weakref.WeakValueDictionary[Path, "Run"]()  # those of this process that were not closed


class Run:
    """A run folder: configuration, checkpoint, `stats.jsonl` and TensorBoard events.

    The same command again goes on from the last checkpoint. What was logged after that checkpoint is dropped, since
    it will be computed again, to the same digits. No other process can open the folder until `close`, or until this
    one ends; where this process begins again after an error, it takes the folder over from its own earlier run.

    Args:
        folder: where everything goes.
        config: the job's options.
        may_change: fields in which a resumed run may differ, beside the budget (to train longer) and the intervals.
        ranks: the processes that train it together; the first of them writes, the others read.

    Raises:
        InputError: if the folder holds a run of another configuration, is used by another process, or cannot be
            written, or torchrun started several processes for a job that is not made for it.
    """

    def __init__(
        self, folder: Path, kind: str, config: TrainingOptions, may_change: Iterable[str] = (), ranks: Ranks = ALONE
    ) -> None:
        if launched() > 1 and ranks.world == 1:
            raise InputError(f"{folder}: this training is made for one process; start it without torchrun")
        self.folder, self.kind, self.config, self.ranks = make_folder(folder), kind, config, ranks
        self.checkpoint = self.folder / "checkpoint.safetensors"
        self._stats: Any = None
        self._lock: Lock | None = None
        self.position = 0
        if ranks.main:
            if earlier := _OPEN.get(self.folder.resolve()):
                earlier.close()
            busy = f"{self.folder}: another process is training in it; wait until it ends, or use another --run folder"
            self._lock = Lock(self.folder / ".lock", busy)
            _OPEN[self.folder.resolve()] = self
            remove_leftovers(self.folder)
        try:
            self._check_same(may_change)
        except InputError:
            self.close()
            raise
        self.ranks.wait()  # before one writes what another still compares
        if ranks.main:
            write_text(self.folder / "config.json", as_json(config))

    def _check_same(self, may_change: Iterable[str]) -> None:
        old_path = self.folder / "config.json"
        if not old_path.is_file() or not self.checkpoint.is_file():
            return
        old = read_json(old_path, "configuration", "remove the run folder or use another", dict)
        new = json.loads(as_json(self.config))
        for before, now in self.config.renamed.items():
            if before in old:
                old[now] = old.pop(before)
        for field in dataclasses.fields(self.config):  # an option that was not there yet was as its default is
            old.setdefault(field.name, json.loads(json.dumps(field.default, default=str)))
        intervals = {"checkpoint_every", "log_every", "grid_every", "validate_every"}
        free = {"run", "pictures", "minutes", *intervals, *may_change}
        changed = [name for name in new if name not in free and old.get(name) != new[name]]
        if changed:
            name = changed[0]
            raise InputError(
                f"{old_path}: this run was started with {name} = {old.get(name)}, not {new[name]}; "
                "use the same options or another --run folder"
            )

    def resume(self) -> dict[str, Any] | None:
        """The state of the last checkpoint, or None for a new run. Sets `position` and the random state."""
        state = None
        if self.checkpoint.is_file():
            state, _ = checkpoint.load(self.checkpoint, self.kind)
            self.position = state["position"]
            torch.set_rng_state(state["random"])
            if torch.cuda.is_available() and state["random_cuda"] is not None:
                torch.cuda.set_rng_state(state["random_cuda"])
            if self.ranks.main:
                print(f"{self.folder}: goes on at {self.position:,} pictures", file=sys.stderr)
        if not self.ranks.main:
            return state
        stats = self.folder / "stats.jsonl"
        with replacing(stats) as temporary, open(temporary, "w", encoding="utf-8") as file:
            if state is not None:
                file.writelines(_lines_until(stats, self.position))
        self._stats = open(stats, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 (closed in `close`)
        with self._writing():
            self.board = SummaryWriter(str(self.folder), purge_step=self.position + 1)
        self._previous_hook, threading.excepthook = threading.excepthook, self._hear_of_thread
        return state

    def _hear_of_thread(self, told: "threading.ExceptHookArgs") -> None:
        """Print what ended a thread, unless it is TensorBoard's, which hands it on to `log` and `grid`."""
        if not type(told.thread).__module__.startswith("tensorboard"):
            self._previous_hook(told)

    def progress(self) -> tqdm:
        """A bar over the pictures of the budget, with rate and time left."""
        return tqdm(
            total=self.config.pictures,
            initial=self.position,
            unit="picture",
            desc=self.folder.name,
            mininterval=1,
            disable=not self.ranks.main,
        )

    def due(self, every: int, step: int) -> bool:
        """Whether a multiple of `every` pictures was passed by the last step of `step` pictures."""
        return self.position // every > (self.position - step) // every

    def log(self, values: dict[str, float]) -> None:
        """Append scalars to stats.jsonl and TensorBoard under the current position."""
        if not self.ranks.main:
            return
        values = {name: float(value) for name, value in values.items()}
        with self._writing():
            self._stats.write(json.dumps({"position": self.position, **values}) + "\n")
            for name, value in values.items():
                self.board.add_scalar(name, value, self.position)

    def grid(self, name: str, pictures: Tensor, columns: int) -> None:
        """Write pictures [N, 3, H, W] in [-1, 1] as one PNG in the folder and to TensorBoard."""
        from torchvision.utils import make_grid, save_image

        grid = make_grid(pictures.float().cpu().clamp(-1, 1) * 0.5 + 0.5, columns, padding=2)
        with self._writing():
            self.board.add_image(name, grid, self.position)
        with replacing(self.folder / f"{name}-{self.position:09d}.png") as temporary:
            save_image(grid, temporary)

    def save(self, state: dict[str, Any]) -> None:
        """Write the checkpoint: `state`, the position and the random state.

        Raises:
            InputError: if a weight is not finite, or not the same in every process; the last checkpoint is kept.
        """
        self.ranks.check_alike(state)
        if not _finite(state):
            raise InputError(
                f"{self.folder}: a weight is not finite after {self.position:,} pictures; start again with a lower "
                "learning rate and another --run folder"
            )
        state = {
            **state,
            "position": self.position,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        }
        if self.ranks.main:
            checkpoint.save(self.checkpoint, state, describe(self.config, kind=self.kind))
        self.ranks.wait()

    def close(self) -> None:
        """Close the log files and let other processes have the folder; does nothing the second time."""
        if self._stats is not None:
            stats, self._stats = self._stats, None
            with suppress(OSError):  # what a full disk kept back is in `stats.jsonl` of no use
                stats.close()
            with suppress(OSError):
                self.board.close()
            threading.excepthook = self._previous_hook
        if self._lock is not None:
            self._lock.release()
            _OPEN.pop(self.folder.resolve(), None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Tell in one line that the folder cannot be written; TensorBoard's thread hands on what it met."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{self.folder}: cannot be written ({reason}); free some space") from error


def _finite(state: Any) -> bool:
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, dict):
        return all(_finite(value) for value in state.values())
    return True


def _lines_until(stats: Path, position: int) -> Iterator[str]:
    """The lines that were logged up to a position; one that is damaged, or cut off by a kill, is left out."""
    if not stats.is_file():
        return
    with open(stats, "rb") as file:
        while line := file.readline(LONGEST_LINE):
            if not line.endswith(b"\n"):
                return
            try:
                logged = parse_json(line, dict)["position"]
            except (ValueError, KeyError):
                continue
            if isinstance(logged, int) and logged <= position:
                yield line.decode()


def training_loop(
    run: Run,
    batches: Iterable[Any],
    step: Callable[[Any], dict[str, Tensor]],
    state: Callable[[], dict[str, Any]],
    *,
    batch_size: int,
    every: Sequence[tuple[int, Callable[[], None]]],
) -> None:
    """The loop of every job: step, log, whatever is due, checkpoint, until the budget is spent, or the job's `minutes`.

    Args:
        step: one optimisation step on a batch; returns scalars to log.
        state: everything that a resumed run needs.
        every: what to do at each multiple of so many pictures, such as validation, in this order.

    Raises:
        InputError: if a loss stops being finite; the last checkpoint is kept.
    """
    iterator = iter(batches)
    minutes = run.config.minutes
    end = time.monotonic() + 60 * minutes if minutes else math.inf
    with run.progress() as bar:
        while run.position < run.config.pictures:
            values = step(next(iterator))
            run.position += batch_size
            bar.update(batch_size)
            late = bool(minutes) and run.ranks.any(time.monotonic() >= end)
            finished = run.position >= run.config.pictures or late
            keep = finished or run.due(run.config.checkpoint_every, batch_size)
            log = run.due(run.config.log_every, batch_size)
            actions = [action for interval, action in every if finished or run.due(interval, batch_size)]
            if log or keep or actions:
                numbers = run.ranks.mean(values)
                if not all(np.isfinite(number) for number in numbers.values()):
                    bad = next(name for name, number in numbers.items() if not np.isfinite(number))
                    raise InputError(
                        f"{run.folder}: {bad} is not finite after {run.position:,} pictures; start again with a "
                        "lower learning rate and another --run folder"
                    )
                if log:
                    run.log(numbers)
                bar.set_postfix({name: f"{number:.3g}" for name, number in list(numbers.items())[:4]}, refresh=False)
            for action in actions:
                action()
            if keep:
                run.save(state())
            if late:
                break


def describe(config: Any, **more: Any) -> dict[str, Any]:
    """The description saved with shipped weights: configuration, machine and whatever else is given."""
    return {"config": json.loads(as_json(config)), **environment(), **more}
