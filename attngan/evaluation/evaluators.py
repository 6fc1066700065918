"""What looks at pictures to score them: a classifier, a held-out judge, and the encoder that training used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from attngan.evaluation import colours
from attngan.evaluation.classifier import load_classifier
from attngan.evaluation.distances import Moments, moments
from attngan.networks import encoders
from attngan.networks.image_encoder import ImageEncoder
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime import checkpoint
from datasets.captions import Vocabulary
from datasets.errors import InputError
from datasets.files import sha256

CLASSIFIER, HELD_OUT, REAL = "classifier.safetensors", "judge.safetensors", "real.safetensors"
# of the observer: a classifier of species on its features, a held-out judge, and statistics of its features
HEAD, OBSERVER_JUDGE, OBSERVER_REAL = "species-head.safetensors", "observer-judge.safetensors", "observer.safetensors"
REAL_KIND = "real-statistics"
KEPT = 1000  # features of real photographs that are shipped, for the kernel distance
WIDE = 512  # from this width on, covariances are kept as correlations in half precision, to save space


class Named(Protocol):
    """What makes features.

    Attributes:
        name: for readers of a number that it made.
        features_identity: tells the weights that make the features from others.
    """

    name: str
    features_identity: str


class Extractor(Named, Protocol):
    """What the Inception Score and the Fréchet distance look through.

    Attributes:
        identity: tells its weights from others.
    """

    identity: str

    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, F] and class probabilities [N, C] of pictures [N, 3, S, S] in [-1, 1]."""
        ...

    def to(self, device: torch.device) -> object:
        """Move to a device, where pictures then have to be."""
        ...


class SpeciesExtractor:
    """The classifier of bird species that is trained here.

    Args:
        path: weights that training the classifier wrote.

    Raises:
        InputError: if the file is missing, damaged, or something else.
    """

    def __init__(self, path: Path) -> None:
        self._classifier, _ = load_classifier(path)
        self.identity = self.features_identity = sha256(path)[:16]
        self.name = f"classifier of bird species trained here ({self.identity[:8]})"

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        features = self._classifier.features(pictures)
        return features, self._classifier.head(features).softmax(1)

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self._classifier.to(device)


class Matcher:
    """Both halves of a DAMSM: how well pictures and written captions fit.

    Raises:
        InputError: if the file is missing, damaged, or of a DAMSM that never saw text.
    """

    def __init__(self, path: Path) -> None:
        self.image: ImageEncoder
        self.image, _ = encoders.load_image_encoder(path)
        self.text: TextEncoder
        self.vocabulary: Vocabulary
        self.text, self.vocabulary = encoders.load_text_encoder(path)
        self.identity = sha256(path)[:16]

    @torch.no_grad()
    def read(self, captions: Sequence[str]) -> Tensor:
        """Sentence vectors [N, D] of N captions, on the CPU; one without words counts as an unknown word."""
        return encoders.encode_captions(self.text, self.vocabulary, captions).sentence.cpu()

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Tensor:
        """Vectors [N, D], on the CPU, of pictures [N, 3, S, S] in [-1, 1] of any size and device."""
        return self.image(pictures.to(next(self.image.parameters()).device)).pooled.cpu()

    def to(self, device: torch.device) -> "Matcher":
        """The same, on a device."""
        self.image.to(device)
        self.text.to(device)
        return self


Part = TypeVar("Part", bound="_OfPictures")


class _OfPictures:
    """Tensors whose first dimension is that of N pictures."""

    def __getitem__(self: Part, rows: Any) -> Part:
        """What was seen in the pictures of `rows`, a slice or an index tensor."""
        return type(self)(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Observations(_OfPictures):
    """What the evaluators see in N pictures.

    Attributes:
        features, probabilities: of the extractor, [N, F] and [N, C].
        matched: by the image encoder that training used, [N, D].
        judged: by the held-out one, [N, D'].
        shares: of each colour, [N, 11].
    """

    features: Tensor
    probabilities: Tensor
    matched: Tensor
    judged: Tensor
    shares: Tensor


@dataclass(frozen=True)
class Observed(_OfPictures):
    """What the observer sees in N pictures.

    Attributes:
        features: pooled, [N, F].
        bird: [N], 1 where the first of ImageNet's classes is a bird, else 0.
        judged: by the matcher on its features, [N, D].
    """

    features: Tensor
    bird: Tensor
    judged: Tensor


Seen = TypeVar("Seen", Observations, Observed)


def concatenate(parts: Sequence[Seen]) -> Seen:
    """What was seen in several batches as one."""
    return type(parts[0])(**{name: torch.cat([vars(part)[name] for part in parts]) for name in vars(parts[0])})


class Evaluators:
    """Everything that scores pictures.

    Args:
        extractor: for the Inception Score and the distances.
        matcher: the encoder that training used.
        held_out_matcher: one that no generator was trained with.
    """

    def __init__(self, extractor: Extractor, matcher: Matcher, held_out_matcher: Matcher) -> None:
        self.extractor, self.matcher, self.held_out_matcher = extractor, matcher, held_out_matcher
        self.device = torch.device("cpu")

    def to(self, device: torch.device) -> "Evaluators":
        """The same, on a device."""
        self.device = device
        for part in (self.extractor, self.matcher, self.held_out_matcher):
            part.to(device)
        return self

    @classmethod
    def load(cls, folder: Path, damsm: Path, extractor: Extractor | None = None) -> "Evaluators":
        """The evaluators of a folder that was shipped, and the encoder of `damsm`.

        Args:
            extractor: instead of the classifier in the folder.

        Raises:
            InputError: if a file is missing, damaged, or something else.
        """
        return cls(extractor or SpeciesExtractor(folder / CLASSIFIER), Matcher(damsm), Matcher(folder / HELD_OUT))

    @property
    def identity(self) -> str:
        """Tells these evaluators from others."""
        return "-".join(part.identity for part in (self.extractor, self.matcher, self.held_out_matcher))

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Observations:
        """What is seen in pictures [N, 3, S, S] in [-1, 1] of any size and device; on the CPU."""
        pictures = pictures.to(self.device)
        features, probabilities = (part.cpu() for part in self.extractor(pictures))
        matched, judged = self.matcher.look(pictures), self.held_out_matcher.look(pictures)
        return Observations(features, probabilities, matched, judged, colours.colour_shares(pictures.cpu()))


class RealStatistics(NamedTuple):
    """What scoring needs of the real photographs, so that nobody needs the photographs.

    Attributes:
        moments: of the extractor's features of all of them.
        features: of some of them, [at most 1000, F], for the kernel distance.
        extractor: `features_identity` of the extractor.
        total: how many photographs.
    """

    moments: Moments
    features: Tensor
    extractor: str
    total: int

    @classmethod
    def of(cls, features: Tensor, extractor: str) -> "RealStatistics":
        """Of features [N, F] of the real photographs."""
        chosen = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:KEPT]
        return cls(moments(features), features[chosen], extractor, len(features))

    def save(self, path: Path, description: dict[str, Any]) -> None:
        """Write them, whole or not at all."""
        covariance = torch.from_numpy(self.moments.covariance)
        state = {"mean": torch.from_numpy(self.moments.mean).float(), "features": self.features.half()}
        if len(covariance) < WIDE:
            state["covariance"] = covariance.float()
        else:
            deviation = covariance.diagonal().sqrt().clamp(min=1e-12)
            rows, columns = torch.triu_indices(len(covariance), len(covariance), 1)
            state["deviation"] = deviation.float()
            state["correlations"] = (covariance / deviation / deviation[:, None])[rows, columns].half()
        about = {"extractor": self.extractor, "total": self.total, **description, "kind": REAL_KIND}
        checkpoint.save(path, state, about)

    @classmethod
    def load(cls, path: Path, extractor: Named) -> "RealStatistics":
        """Read what `save` wrote.

        Raises:
            InputError: if the file is missing or damaged, or was made by another extractor.
        """
        state, about = checkpoint.load(path, REAL_KIND)
        if about.get("extractor") != extractor.features_identity:
            raise InputError(
                f"{path}: statistics by another extractor ({about.get('extractor')}) than {extractor.name}; give those "
                "that belong to it, or a corpus to make them from"
            )
        covariance = state["covariance"] if "covariance" in state else _covariance(state)
        found = Moments(state["mean"].double().numpy(), covariance.double().numpy())
        return cls(found, state["features"].float(), extractor.features_identity, int(about["total"]))


def _covariance(state: dict[str, Tensor]) -> Tensor:
    """Covariance [D, D] from deviations [D] and the correlations above the diagonal."""
    deviation = state["deviation"].double()
    square = torch.eye(len(deviation), dtype=torch.float64)
    rows, columns = torch.triu_indices(len(square), len(square), 1)
    square[rows, columns] = square[columns, rows] = state["correlations"].double()
    return square * deviation * deviation[:, None]
