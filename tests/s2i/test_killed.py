"""Every job is killed at random moments; when it has gone on to its end, the last digits are those of one never killed.

The jobs are real processes, forked from one that has imported what they need, which takes longer than they do.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attngan.runtime import checkpoint

ROOT = Path(__file__).parents[2]
KILLS = {"prepare": 4, "damsm": 4, "sen": 4, "gan": 4, "classifier": 4, "evaluate": 2}
FORKING = """
import importlib, json, os, sys, torch
torch.set_num_threads(1)
import attngan.training.damsm, attngan.training.gan, attngan.training.classifier
import datasets.corpus, datasets.synthesis, datasets.synthetic, datasets.voices, s2i.model.speech_encoder
import s2i.evaluation.evaluation, s2i.evaluation.folders, torchvision.utils, scipy.linalg
from datasets import cli
from torch.utils.tensorboard import SummaryWriter
print("ready", flush=True)
for line in sys.stdin:
    module, *arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.argv = [module, *arguments]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(os.environ["LOG"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1), os.dup2(log, 2)
        try:
            cli.run(importlib.import_module(module).main)
        except SystemExit as leaving:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(leaving.code or 0)
        os._exit(99)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Forks:
    """The process that the jobs are forked from."""

    def __init__(self, log: Path) -> None:
        self.log = log
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "LOG": str(log)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", FORKING], cwd=ROOT, env=environment, **pipes)
        assert self._hear() == "ready"

    def _hear(self) -> str:
        line = self.process.stdout.readline().strip()
        assert line, "the process that forks ended"
        return line

    def run(self, command: list[str], kill_after: float | None = None) -> bool:
        """Run a job to its end, or kill it after some seconds; whether it came to its end."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        child = int(self._hear())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it had ended
                os.kill(child, signal.SIGKILL)
        status = int(self._hear())
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return False
        assert os.waitstatus_to_exitcode(status) == 0, self.log.read_text()
        return True

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


@dataclass(frozen=True)
class Job:
    """What runs in a folder, and what of it must be the same in the end."""

    command: Callable[[Path], list[str]]
    outcome: Callable[[Path], object]


def plain(value: object) -> object:
    """Tensors as their bytes, so that states are compared to the last bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return [(key, plain(item)) for key, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list) else value


def trained(*files: tuple[str, str]) -> Callable[[Path], object]:
    def outcome(folder: Path) -> object:
        states = [plain(checkpoint.load(folder / "run" / name, kind)[0]) for name, kind in files]
        return states, (folder / "run" / "stats.jsonl").read_text()

    return outcome


def scores(folder: Path) -> object:
    figures = json.loads((folder / "results.json").read_text())
    return [list(row.items()) for row in figures["rows"].values()]


@pytest.fixture(scope="module")
def forks(tmp_path_factory) -> Iterator[Forks]:
    made = Forks(tmp_path_factory.mktemp("forks") / "log")
    yield made
    made.close()


def words(**options: object) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, build_birds, forks) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("jobs")
    birds = build_birds(folder / "birds.h5")
    pictures = folder / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for number in range(300):  # two pieces of work that are kept
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(pictures / f"{number}.png")
    budget = {"corpus": birds, "batch_size": 8, "log_every": 8, "threads": 1, "checkpoint_every": 16}
    budget |= {"pictures": 160, "validate_every": 80}

    def training(module: str, **more: object) -> Callable[[Path], list[str]]:
        return lambda place: [module, "--preset", "tiny", *words(**{**budget, **more, "run": place / "run"})]

    damsm = Job(
        training("s2i.train_damsm"), trained(("checkpoint.safetensors", "damsm"), ("best.safetensors", "damsm-weights"))
    )
    assert forks.run(damsm.command(folder / "damsm"))
    encoder = {"damsm": folder / "damsm/run/best.safetensors"}
    sen = Job(
        training("s2i.train_sen", **encoder),
        trained(("checkpoint.safetensors", "speech-encoder"), ("best.safetensors", "speech-encoder-weights")),
    )
    assert forks.run(sen.command(folder / "sen"))
    speech = {"sen": folder / "sen/run/best.safetensors"}
    drawn = {"drawn_pictures": 40, "drawn_species": 6, "short_side": 32, "recordings_per_picture": 1, "workers": 1}
    return {
        "prepare": Job(
            lambda place: ["datasets.prepare", "--preset", "tiny", *words(**drawn, output=place / "birds.h5")],
            lambda place: (place / "birds.h5").read_bytes(),
        ),
        "damsm": damsm,
        "sen": sen,
        "gan": Job(
            training("s2i.train_gan", **encoder, **speech, base=8, pictures=96, validate_every=48, grid_every=48),
            trained(("checkpoint.safetensors", "gan"), ("generator.safetensors", "generator")),
        ),
        "classifier": Job(
            training("s2i.train_classifier"),
            trained(
                ("checkpoint.safetensors", "classifier"),
            ),
        ),
        "evaluate": Job(
            lambda place: [
                "s2i.evaluate",
                *words(folder=pictures, work=place / "work", output=place / "results.json"),
            ],
            scores,
        ),
    }


def leftovers(folder: Path) -> list[str]:
    """What a kill may leave and the end may not."""
    return [path.name for path in folder.rglob(".*") if ".tmp" in path.name or ".lock" in path.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_a_job_that_is_killed_again_and_again_ends_as_one_that_never_was(name, jobs, forks, tmp_path):
    job, rng = jobs[name], random.Random(name)
    whole = tmp_path / "whole"
    whole.mkdir()
    begin = time.monotonic()
    assert forks.run(job.command(whole))
    seconds, expected = time.monotonic() - begin, job.outcome(whole)
    killed, broken = 0, tmp_path / "broken"
    for _ in range(20):
        broken.mkdir(exist_ok=True)
        if forks.run(job.command(broken), rng.uniform(0, seconds)):  # it was quicker
            assert job.outcome(broken) == expected
            shutil.rmtree(broken)
            continue
        killed += 1
        if killed == KILLS[name]:
            break
    assert killed == KILLS[name]
    assert forks.run(job.command(broken))
    assert job.outcome(broken) == expected
    assert leftovers(broken) == []
