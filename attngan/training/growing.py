"""Starting a generator from a trained one with fewer stages."""

from pathlib import Path
from typing import Any

from torch import Tensor

from attngan.networks.discriminator import ConditionalDiscriminator
from attngan.networks.generator import GENERATOR_KIND, Generator
from attngan.runtime import checkpoint
from attngan.training.gan_networks import name_discriminators
from datasets.errors import InputError


def read(path: Path, kind: str) -> dict[str, Any]:
    """The weights to start from, as `start_from` takes them.

    Args:
        path: a checkpoint of training, or a generator's weights alone: the discriminators then start afresh.
        kind: of the checkpoint.

    Raises:
        InputError: for a file that is neither, or is damaged.
    """
    if checkpoint.kind_of(path) != GENERATOR_KIND:
        state, description = checkpoint.load(path, kind)
        return {**state, "adversary": name_discriminators(state["adversary"], description["config"]["base"])}
    weights, _ = checkpoint.load(path, GENERATOR_KIND)
    return {"generator": weights, "ema": weights, "adversary": {"networks": {}}}


def start_from(
    state: dict[str, Any],
    generator: Generator,
    discriminators: dict[str, ConditionalDiscriminator],
    *,
    freeze: int,
    path: Path,
) -> None:
    """Take over the weights of another run's checkpoint.

    Frozen stages get its averaged weights, the others the live ones; stages that it lacks start afresh.

    Args:
        state: as saved by training. freeze: stages, from the first, that will not train.
        path: where it came from, for messages.

    Raises:
        InputError: if it lacks a stage that is to be frozen, or the sizes of layers differ.
    """
    for stage in range(len(generator)):
        source = state["ema" if stage < freeze else "generator"]
        prefixes = ["augmentation.", "initial."] if stage == 0 else [f"refine.{stage - 1}."]
        prefixes.append(f"heads.{stage}.")
        trained = _starting_with(prefixes, source)
        fresh = generator.state_dict()
        if not trained and stage < freeze:
            raise InputError(f"{path}: has no stage {stage + 1} to freeze; lower --freeze")
        _check_fit(trained, fresh, path)
        if stage < freeze:  # nothing of a frozen stage may stay as it was drawn
            _check_fit(_starting_with(prefixes, fresh), trained, path)
        generator.load_state_dict(trained, strict=False)
    for name, network in discriminators.items():
        theirs = _starting_with([f"{name}."], state["adversary"]["networks"])
        trained = {key.removeprefix(f"{name}."): value for key, value in theirs.items()}
        _check_fit(trained, network.state_dict(), path)
        network.load_state_dict(trained, strict=False)


def _starting_with(prefixes: list[str], state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name.startswith(tuple(prefixes))}


def _check_fit(trained: dict[str, Tensor], fresh: dict[str, Tensor], path: Path) -> None:
    for name, value in trained.items():
        if name not in fresh or fresh[name].shape != value.shape:
            raise InputError(f"{path}: does not fit at {name}; give the --base, widths and --blocks of that run")
