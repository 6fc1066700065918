"""The run folder of a training, and the loop that every training is."""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
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
from datasets.files import make_folder, replacing, write_text


class Run:
    """A run folder: configuration, checkpoint, `stats.jsonl` and TensorBoard events.

    The same command again goes on from the last checkpoint. What was logged after that checkpoint is dropped, since
    it will be computed again, to the same digits.

    Args:
        folder: where everything goes.
        config: the job's options.
        may_change: fields in which a resumed run may differ, beside the budget (to train longer) and the intervals.
        ranks: the processes that train it together; the first of them writes, the others read.

    Raises:
        InputError: if the folder holds a run of another configuration, or cannot be written, or torchrun started
            several processes for a job that is not made for it.
    """

    def __init__(
        self, folder: Path, kind: str, config: TrainingOptions, may_change: Iterable[str] = (), ranks: Ranks = ALONE
    ) -> None:
        if launched() > 1 and ranks.world == 1:
            raise InputError(f"{folder}: this training is made for one process; start it without torchrun")
        self.folder, self.kind, self.config, self.ranks = make_folder(folder), kind, config, ranks
        self.checkpoint = self.folder / "checkpoint.safetensors"
        self._check_same(may_change)
        self.ranks.wait()  # before one writes what another still compares
        if ranks.main:
            write_text(self.folder / "config.json", as_json(config))
        self.position = 0

    def _check_same(self, may_change: Iterable[str]) -> None:
        old_path = self.folder / "config.json"
        if not old_path.is_file() or not self.checkpoint.is_file():
            return
        try:
            old = json.loads(old_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{old_path}: damaged ({error}); remove the run folder or use another") from error
        new = json.loads(as_json(self.config))
        for before, now in self.config.renamed.items():
            if before in old:
                old[now] = old.pop(before)
        for field in dataclasses.fields(self.config):  # an option that was not there yet was as its default is
            old.setdefault(field.name, json.loads(json.dumps(field.default, default=str)))
        free = {"run", "pictures", "checkpoint_every", "log_every", "grid_every", "validate_every", *may_change}
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
        kept = []
        if stats.is_file() and state is not None:
            kept = [line for line in stats.read_text().splitlines() if _position_of(line) <= self.position]
        write_text(stats, "".join(f"{line}\n" for line in kept))
        self._stats = open(stats, "a", buffering=1)  # noqa: SIM115 (closed in `close`)
        self.board = SummaryWriter(str(self.folder), purge_step=self.position + 1)
        return state

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
        try:
            self._stats.write(json.dumps({"position": self.position, **values}) + "\n")
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror}); free some space") from error
        for name, value in values.items():
            self.board.add_scalar(name, value, self.position)

    def grid(self, name: str, pictures: Tensor, columns: int) -> None:
        """Write pictures [N, 3, H, W] in [-1, 1] as one PNG in the folder and to TensorBoard."""
        from torchvision.utils import make_grid, save_image

        grid = make_grid(pictures.float().cpu().clamp(-1, 1) * 0.5 + 0.5, columns, padding=2)
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
        """Close the log files."""
        if not self.ranks.main:
            return
        self._stats.close()
        self.board.close()


def _finite(state: Any) -> bool:
    if isinstance(state, Tensor):
        return not state.is_floating_point() or bool(torch.isfinite(state).all())
    if isinstance(state, dict):
        return all(_finite(value) for value in state.values())
    return True


def _position_of(line: str) -> int:
    try:
        return int(json.loads(line)["position"])
    except (ValueError, KeyError):  # the last line of a killed run may be cut off
        return sys.maxsize


def training_loop(
    run: Run,
    batches: Iterable[Any],
    step: Callable[[Any], dict[str, Tensor]],
    state: Callable[[], dict[str, Any]],
    *,
    batch_size: int,
    every: Sequence[tuple[int, Callable[[], None]]],
) -> None:
    """The loop of every job: step, log, whatever is due, checkpoint, until the budget is spent.

    Args:
        step: one optimisation step on a batch; returns scalars to log.
        state: everything that a resumed run needs.
        every: what to do at each multiple of so many pictures, such as validation, in this order.

    Raises:
        InputError: if a loss stops being finite; the last checkpoint is kept.
    """
    iterator = iter(batches)
    with run.progress() as bar:
        while run.position < run.config.pictures:
            values = step(next(iterator))
            run.position += batch_size
            bar.update(batch_size)
            finished = run.position >= run.config.pictures
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


def describe(config: Any, **more: Any) -> dict[str, Any]:
    """The description saved with shipped weights: configuration, machine and whatever else is given."""
    return {"config": json.loads(as_json(config)), **environment(), **more}
