"""The published Inception networks, for figures that papers can be compared with; for those who have the weights."""

from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, nn

from attngan.evaluation.evaluators import Extractor
from attngan.networks.image_encoder import resize
from attngan.runtime.state_dict import read_state_dict
from datasets.errors import InputError
from datasets.files import sha256

SIDE = 299  # px
FID_CLASSES = 1008  # of the network of pytorch-fid, whose layers have torchvision's names and shapes
FID_FILE = "pytorch-fid's pt_inception-2015-12-05-6726825d.pth"
BIRDS_FILE = "a state dict of torchvision's inception_v3"


class InceptionExtractor:
    """Features of the ImageNet Inception that the Fréchet distance is defined by, probabilities of one tuned on birds.

    Args:
        fid_weights: the file of pytorch-fid, for the features [N, 2048]; None to take those of `base`.
        birds_weights: a state dict of torchvision's inception_v3 with any classes, as ports of StackGAN's are, for the
            probabilities; None to take those of `base`.
        base: for what no weights are given for.
        background: whether the first of the birds' classes is a background, left out before the softmax, as it is in
            StackGAN's evaluation (51 classes of which 50 count).

    Attributes:
        name: says which network made which number.
        identity: the checksums of the files, and that of `base` where it is used.
        features_identity: the same of what makes the features alone, which real statistics belong to.

    Raises:
        InputError: if a file is missing, damaged, would run code, or holds another network, or if none is given.
    """

    def __init__(
        self, fid_weights: Path | None, birds_weights: Path | None, base: Extractor, *, background: bool = False
    ) -> None:
        if fid_weights is None and birds_weights is None:
            raise InputError("Inception weights: none given; give a file for the features or for the probabilities")
        self._base = base
        self._fid = None if fid_weights is None else _load_fid(Path(fid_weights))
        self._birds = None if birds_weights is None else _load_birds(Path(birds_weights), background)
        self._background = background
        self.features_identity = base.identity if fid_weights is None else sha256(fid_weights)[:16]
        probabilities = base.identity if birds_weights is None else sha256(birds_weights)[:16] + "b" * background
        self.identity = f"{self.features_identity}-{probabilities}"
        on_birds = f"Inception-v3 of {birds_weights} ({probabilities[:8]})" if birds_weights else base.name
        on_imagenet = f"Inception-v3 of pytorch-fid ({self.features_identity[:8]})" if fid_weights else base.name
        self.name = f"IS: {on_birds}, FID: {on_imagenet}"

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, F] and probabilities [N, C] of pictures [N, 3, S, S] in [-1, 1].

        pytorch-fid resizes as it does itself, from pictures in [0, 1]. The birds' network sees pictures in [-1, 1],
        which is also what torchvision's normalisation by ImageNet's colours and its `transform_input` make together.
        """
        features = probabilities = None
        if self._fid is None or self._birds is None:
            features, probabilities = self._base(pictures)
        if self._fid is not None:
            features = self._fid(pictures / 2 + 0.5)[0].flatten(1)
        if self._birds is not None:
            probabilities = self._birds(resize(pictures, SIDE))[:, int(self._background) :].softmax(1)
        assert features is not None
        assert probabilities is not None
        return features, probabilities

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        for part in (self._base, self._fid, self._birds):
            if part is not None:
                part.to(device)


def _other_network(path: Path, what: str, error: RuntimeError) -> InputError:
    difference = str(error).split("\n")[1 if "\n" in str(error) else 0].strip()[:160]
    return InputError(f"{path}: not {what} ({difference}); give the right file")


def _load_fid(path: Path) -> nn.Module:
    """pytorch-fid's own network, frozen, with the weights of `path` in place of its download."""
    from pytorch_fid import inception  # imports torchvision, which is slow and seldom needed

    state = read_state_dict(path, FID_FILE)
    with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: state):
        try:
            network = inception.InceptionV3()
        except RuntimeError as error:
            raise _other_network(path, FID_FILE, error) from error
    return network.eval().requires_grad_(False)


def _load_birds(path: Path, background: bool) -> nn.Module:
    """torchvision's network, frozen, with as many classes as the weights of `path` have."""
    from torchvision.models import inception_v3

    state = {
        name: value for name, value in read_state_dict(path, BIRDS_FILE).items() if not name.startswith("AuxLogits.")
    }
    head = state.get("fc.weight", torch.empty(0))
    if head.dim() != 2 or len(head) < 2 + background:
        shape = f"has the shape {list(head.shape)}" if "fc.weight" in state else "is missing"
        raise InputError(f"{path}: not {BIRDS_FILE} (fc.weight {shape}); give the right file")
    if len(head) == FID_CLASSES:
        raise InputError(f"{path}: has {FID_CLASSES} classes, as {FID_FILE} has; give the file of the birds' network")
    network = inception_v3(
        weights=None, num_classes=len(head), aux_logits=False, init_weights=False, transform_input=False
    )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise _other_network(path, BIRDS_FILE, error) from error
    return network.eval().requires_grad_(False)
