"""The machine that a job runs on: its devices, processes and precision, and what it says of itself."""

import os
import platform
import subprocess
import sys
import warnings
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from lightning_fabric import Fabric

from attngan.runtime.ranks import Ranks, launched
from attngan.runtime.training_options import PRECISIONS, TrainingOptions
from datasets.cli import check_choice, repository
from datasets.errors import InputError

PACKAGE = "speech-to-image"
PATIENCE = timedelta(hours=2)  # with processes that are late, since one may be filling a cache for all


def environment() -> dict[str, str]:
    """Machine, versions and commit, for whatever records a figure."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return {
        "machine": f"{platform.machine()}, {device}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit(),
        "command": " ".join(sys.argv).replace(f"{repository()}{os.sep}", ""),  # the same on every machine
    }


def commit() -> str:
    """The commit of this checkout; of an installed copy, or where there is no git, its version, else "unknown"."""
    if (repository() / ".git").exists():  # or git would tell of a checkout that an installed copy lies in
        with suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run(
                ["git", "rev-parse", "--short", "HEAD"], cwd=repository(), capture_output=True, text=True, timeout=30
            )
            if told.returncode == 0 and told.stdout.strip():
                return told.stdout.strip()
    with suppress(PackageNotFoundError):
        return f"version {version(PACKAGE)}"
    return "unknown"


def make_fabric(precision: str) -> Fabric:
    """Device and precision: the GPU where there is one, else the CPU; under torchrun, one for each process.

    Raises:
        InputError: if this machine has fewer GPUs than torchrun was told to start processes on it.
    """
    check_choice("precision", precision, PRECISIONS)
    processes: dict[str, Any] = {"devices": 1}
    if launched() > 1:
        from lightning_fabric.plugins.environments import TorchElasticEnvironment
        from lightning_fabric.strategies import DDPStrategy

        here = int(os.environ["LOCAL_WORLD_SIZE"])
        if torch.cuda.is_available() and here > torch.cuda.device_count():
            raise InputError(
                f"--nproc-per-node {here}: this machine has {torch.cuda.device_count()} GPUs; start as many processes"
            )
        strategy = DDPStrategy(cluster_environment=TorchElasticEnvironment(), timeout=PATIENCE)
        processes = {"devices": here, "num_nodes": launched() // here, "strategy": strategy}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fabric = Fabric(accelerator="auto", precision=precision, **processes)  # type: ignore[arg-type]
        if launched() > 1:
            fabric.launch()
    return fabric


def start(config: TrainingOptions) -> Fabric:
    """Threads, seed, device and precision of a training, before anything of it is built."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    return make_fabric(config.precision)


def ranks_of(fabric: Fabric) -> Ranks:
    """This process among those that `make_fabric` brought together."""
    return Ranks(fabric.global_rank, fabric.world_size)
