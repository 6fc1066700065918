"""How far one set of features is from another, and how varied one is; nothing here knows a network."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attngan.evaluation.metrics import Score
from datasets.errors import InputError

SUM_TOLERANCE = 1e-3  # how far from 1 a softmax in half precision may sum


class Moments(NamedTuple):
    """Mean [D] and covariance [D, D] of a set of features: all of it that the Fréchet distance looks at."""

    mean: np.ndarray
    covariance: np.ndarray


def inception_score(probabilities: Tensor, *, splits: int = 10, seed: int = 0) -> Score:
    """How sure a classifier is of each picture and how varied the pictures are: exp(mean KL(p(y|x) || p(y))).

    From 1 (the same prediction for all) to the number of classes (sure, and all classes equally often). Salimans et
    al. 2016, section 4; comparable only by the same classifier and about the same number of pictures.

    Args:
        probabilities: [N, C], of class y given picture x: not negative, each row sums to 1.
        splits: the pictures are shuffled by `seed` and cut into as many; mean and deviation are over them.

    Raises:
        InputError: for fewer pictures than splits, or rows that are not probabilities.
    """
    _check(probabilities, "probabilities")
    count = len(probabilities)
    if not 1 <= splits <= count:
        raise InputError(f"splits {splits}: not between 1 and the number of pictures, {count}; give fewer")
    given = probabilities.double().cpu()
    wrong = (given < 0).any(1) | ((given.sum(1) - 1).abs() > SUM_TOLERANCE)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        claim = f"row {row} is from {given[row].min():.4g} and sums to {given[row].sum():.4g}"
        raise InputError(f"probabilities: {claim}, not from 0 and to 1; apply a softmax first")
    shuffled = given[torch.from_numpy(np.random.default_rng(seed).permutation(count))]
    scores = []
    for k in range(splits):
        part = shuffled[k * count // splits : (k + 1) * count // splits]
        divergence = torch.special.xlogy(part, part) - torch.special.xlogy(part, part.mean(0))
        scores.append(divergence.sum(1).mean().exp().item())
    return Score(float(np.mean(scores)), float(np.std(scores)))


def kernel_distance(real: Tensor, fake: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> Score:
    """Kernel (Inception) distance: squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

    Unbiased (Bińkowski et al. 2018, section 4), so 0 is what two sets of one distribution give on average, and single
    values may be below. As it is, not multiplied by anything; where papers print "KID x 10^3", multiply by 1000.

    Args:
        real, fake: [N, D] and [M, D].
        subsets: as many pairs of subsets are drawn by `seed`; mean and deviation are over them.
        subset_size: rows in each, drawn without putting back; at most as many as the smaller set has.

    Raises:
        InputError: for fewer than 2 rows, different widths, features that are not finite, or subsets below 1 or 2 rows.
    """
    _check_pair(real, fake)
    size = min(subset_size, len(real), len(fake))
    if subsets < 1 or size < 2:
        raise InputError(f"{subsets} subsets of {subset_size}: too few; give at least 1 subset of at least 2")
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(subsets):
        x, y = (
            features[torch.from_numpy(rng.permutation(len(features))[:size]).to(features.device)].double()
            for features in (real, fake)
        )
        within = sum(_off_diagonal_mean(_kernel(z, z)) for z in (x, y))
        distances.append(float(within - 2 * _kernel(x, y).mean()))
    return Score(float(np.mean(distances)), float(np.std(distances)))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """Values [N, M] of the cubic polynomial kernel."""
    return (x @ y.t() / x.shape[1] + 1) ** 3


def _off_diagonal_mean(square: Tensor) -> Tensor:
    return (square.sum() - square.diagonal().sum()) / (len(square) * (len(square) - 1))


def moments(features: Tensor) -> Moments:
    """Mean and covariance of features [N, D], in double precision.

    Raises:
        InputError: for fewer than 2 rows or features that are not finite.
    """
    _check(features, "features")
    array = features.double().cpu().numpy()
    return Moments(array.mean(0), np.atleast_2d(np.cov(array, rowvar=False)))


def frechet_from_moments(real: Moments, fake: Moments) -> float:
    """Fréchet distance of two Gaussians by pytorch-fid (Heusel et al. 2017, equation 6); 0 for equal moments.

    `Moments(**np.load(file))` of a file by `np.savez(file, **moments(features)._asdict())` stands for the real pictures
    without them.

    Raises:
        InputError: for moments that are not finite, or whose shapes are not [D] and [D, D] with the same D.
    """
    from pytorch_fid.fid_score import calculate_frechet_distance

    width = real.mean.size
    for name, given in (("real", real), ("fake", fake)):
        shapes = given.mean.shape, given.covariance.shape
        if shapes != ((width,), (width, width)):
            raise InputError(
                f"{name} moments: shapes {shapes[0]} and {shapes[1]}, should be {(width,)} and {(width, width)}; "
                "take both from the same network"
            )
        if not all(np.isfinite(each).all() for each in given):
            raise InputError(f"{name} moments: not finite; compute them again")
    return float(calculate_frechet_distance(*real, *fake))


class FrechetDistance:
    """The same from one set of moments to many sets of features, in a tenth of the time.

    The trace of the matrix root of C1 C2 is the sum of the roots of the eigenvalues of C1^1/2 C2 C1^1/2, which is
    symmetric, and the root of C1 is taken once.

    Args:
        real: moments that all sets are compared with.
    """

    def __init__(self, real: Moments) -> None:
        self._real = real
        values, vectors = np.linalg.eigh(real.covariance)
        self._root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T

    def __call__(self, features: Tensor) -> float:
        """Distance of features [N, D], N >= 2."""
        fake = moments(features)
        values = np.linalg.eigvalsh(self._root @ fake.covariance @ self._root)
        covariances = np.trace(self._real.covariance) + np.trace(fake.covariance)
        apart = float(((self._real.mean - fake.mean) ** 2).sum())
        return float(apart + covariances - 2 * np.sqrt(values.clip(min=0)).sum())


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two sets of features [N, D] and [M, D] by pytorch-fid (Heusel et al. 2017, equation 6).

    From 0 up. Few rows make it larger than it is: use the same number whenever figures are compared, and at least D.

    Raises:
        InputError: for fewer than 2 rows, different widths, or features that are not finite.
    """
    _check_pair(real, fake)
    return frechet_from_moments(moments(real), moments(fake))


def _check_pair(real: Tensor, fake: Tensor) -> None:
    _check(real, "real features")
    _check(fake, "fake features")
    if real.shape[1] != fake.shape[1]:
        raise InputError(
            f"features: {real.shape[1]} wide in real and {fake.shape[1]} in fake pictures; take both from one network"
        )


def _check(features: Tensor, name: str) -> None:
    if features.dim() != 2 or len(features) < 2:
        raise InputError(f"{name}: of shape {list(features.shape)}, should be [N, D] with N >= 2; give more pictures")
    if not torch.isfinite(features).all():
        raise InputError(f"{name}: not finite; the network that made them has diverged, train it again")
