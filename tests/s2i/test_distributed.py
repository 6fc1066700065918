"""The three trainings in two processes: the losses of one, a run that goes on in one, an end when a process dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from attngan.runtime import checkpoint

REPOSITORY = Path(__file__).parents[2]
RUNNER = """
import sys, torch
from s2i import train_damsm
from s2i import train_gan
from s2i import train_sen
torch.nn.Dropout.forward = lambda self, x: x  # each process would drop others
jobs = {"damsm": train_damsm, "sen": train_sen, "gan": train_gan}
for job, *options in [command.split() for command in sys.argv[1].splitlines()]:
    jobs[job].main(options)
"""
BUDGET = "--preset tiny --batch-size 8 --log-every 8 --validate-every 16 --checkpoint-every 16 --threads 1"
pytestmark = pytest.mark.slow  # two processes that import torch


@pytest.fixture(scope="module")
def root(tmp_path_factory, build_birds):
    root = tmp_path_factory.mktemp("distributed")
    (root / "runner.py").write_text(RUNNER)
    build_birds(root / "birds.h5")
    return root


def commands(root: Path, folder: str, encoders: str, pictures: int, jobs=("damsm", "sen", "gan")) -> str:
    common = f"{BUDGET} --corpus {root}/birds.h5 --pictures {pictures} --precision 32-true"
    damsm, sen = (f"{root}/{encoders}/{job}/best.safetensors" for job in ("damsm", "sen"))
    # The logits of hinge loss have a bias that no gradient but rounding moves; those of bce do not.
    more = {
        "damsm": "--words-group 4",
        "sen": f"--damsm {damsm}",
        "gan": f"--damsm {damsm} --sen {sen} --base 16 --texture-width 4 --loss bce --penalty r1",
    }
    return "\n".join(f"{job} {common} --run {root}/{folder}/{job} {more[job]}" for job in jobs)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), **more}


def run(root: Path, what: str, processes: int = 1) -> None:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launch if processes > 1 else []), str(root / "runner.py"), what]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=600, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr[-3000:]


def stats(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(root):
    """All three trainings in one process and in two, with the same encoders."""
    run(root, commands(root, "one", "one", 32))
    run(root, commands(root, "two", "one", 32), processes=2)
    return root


@pytest.mark.parametrize("job", ["damsm", "sen", "gan"])
def test_two_processes_give_the_losses_of_one(runs, job):
    one, two = (stats(runs / folder / job) for folder in ("one", "two"))
    assert [entry["position"] for entry in one] == [entry["position"] for entry in two]
    for a, b in zip(one, two, strict=True):
        # From the second step on Adam makes of rounding what it likes, the more so the smaller a gradient is.
        assert b == pytest.approx(a, rel=1e-4 if a["position"] == 8 else 0.05, abs=1e-4 if a["position"] == 8 else 0.1)


@pytest.mark.parametrize("job", ["damsm", "sen", "gan"])
def test_two_processes_save_what_one_would(runs, job):
    kind = {"damsm": "damsm", "sen": "speech-encoder", "gan": "gan"}[job]
    one, two = (checkpoint.load(runs / folder / job / "checkpoint.safetensors", kind)[0] for folder in ("one", "two"))
    assert list(one) == list(two)
    weights = "generator" if job == "gan" else "networks"
    assert list(one[weights]) == list(two[weights])
    assert one["position"] == two["position"] == 32
    assert len(list((runs / "two" / job).glob("events.out.tfevents.*"))) == 1  # of the one that writes


def test_a_run_of_two_goes_on_in_one(runs):
    run(runs, commands(runs, "two", "one", 48, jobs=("gan",)))
    entries = stats(runs / "two" / "gan")
    assert [entry["position"] for entry in entries if "generator/damsm" in entry] == [8, 16, 24, 32, 40, 48]
    assert all(torch.isfinite(torch.tensor(list(entry.values()))).all() for entry in entries)


def test_a_process_that_dies_ends_the_other_and_the_run_goes_on(runs):
    what = commands(runs, "broken", "one", 4000, jobs=("gan",))
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29712", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    runner = (
        (runs / "runner.py").read_text().replace("import sys, torch", "import sys, torch\nfrom datasets import cli")
    )
    body = runner.replace("jobs[job].main(options)", "cli.run(lambda _: jobs[job].main(options))")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", body, what],
            env=environment(**together, RANK=str(rank), LOCAL_RANK=str(rank), GROUP_RANK="0"),
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for rank in range(2)
    ]
    log = runs / "broken" / "gan" / "stats.jsonl"
    deadline = time.time() + 240
    while time.time() < deadline and not (log.is_file() and log.read_text().count("\n") >= 5):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGKILL)
    _, told = processes[0].communicate(timeout=120)
    lines = [line for line in told.replace("\r", "\n").splitlines() if "rror" in line or "Traceback" in line]
    assert processes[0].returncode == 2
    assert len(lines) == 1
    assert "process 1 of 2 lost the others" in lines[0]
    assert "goes on from the last checkpoint" in lines[0]
    state, _ = checkpoint.load(runs / "broken" / "gan" / "checkpoint.safetensors", "gan")
    assert state["position"] >= 16
    run(runs, commands(runs, "broken", "one", state["position"] + 16, jobs=("gan",)))
    assert stats(runs / "broken" / "gan")[-1]["position"] == state["position"] + 16


def test_under_torchrun_the_scripts_are_the_same_and_a_bad_batch_is_one_line(root):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    options = f"{BUDGET} --corpus {root}/birds.h5 --run {root}/odd --batch-size 6".split()
    # Without the two dashes torchrun takes our --run for an abbreviation of its own.
    done = subprocess.run(
        [*launch, "--", str(REPOSITORY / "scripts" / "train_damsm.sh"), *options],
        env=environment(PYTHON=sys.executable),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "error: --batch-size 6: cannot be shared by 2 processes" in done.stderr
