"""Somebody's own reference for the Fréchet and the kernel distance: a folder of real pictures, or saved statistics."""

import os
import zipfile
from pathlib import Path

import numpy as np
import torch

from attngan.evaluation.distances import Moments
from attngan.evaluation.evaluators import Evaluators, Extractor, RealStatistics
from datasets.errors import InputError
from datasets.files import require_file
from s2i.evaluation.cache import Cache
from s2i.evaluation.folders import find_pictures, look_at_all

NAMES = (("mu", "sigma"), ("mean", "covariance"))  # of pytorch-fid and DF-GAN, and of our own `Moments`
MOST_BYTES = 1 << 28  # unpacked; a covariance of 2048 dimensions takes 32 MB
LARGEST = 512  # px; larger pictures are reduced to it, all others are seen as they are, as pytorch-fid sees them
PROBE = 64  # px


def load(path: Path, evaluators: Evaluators, cache: Cache | None = None) -> RealStatistics:
    """The statistics of the real pictures in a folder, or those of an .npz file.

    The file holds mean [F] and covariance [F, F] as `mu` and `sigma`, as DF-GAN and pytorch-fid write them, or as
    `mean` and `covariance`. They are no features, so the kernel distance cannot be had from them.

    Args:
        cache: where to keep what was seen in the folder.

    Raises:
        InputError: if it is neither, or damaged, of another network than the extractor, or a picture cannot be used.
    """
    if os.path.isdir(path):
        seen = look_at_all(path, find_pictures(path), evaluators, cache, LARGEST)
        return RealStatistics.of(seen.features, evaluators.extractor.features_identity)
    moments = read_moments(path)
    width, wanted = len(moments.mean), _width(evaluators.extractor, evaluators.device)
    if width != wanted:
        raise InputError(
            f"{path}: statistics of {width} dimensions, {evaluators.extractor.name} gives {wanted}; give the weights "
            "of the network that made them (for 2048 those of pytorch-fid: --inception), or a folder of the pictures"
        )
    features = torch.empty(0, width)
    return RealStatistics(moments, features, evaluators.extractor.features_identity, total=0)


def read_moments(path: Path) -> Moments:
    """Mean [F] and covariance [F, F] of an .npz file, in double precision.

    Raises:
        InputError: if it is missing, damaged or too large, or holds something else.
    """
    require_file(path, "reference (a folder of pictures, or an .npz of statistics)")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"it unpacks to more than {MOST_BYTES >> 20} MB")
        with np.load(path, allow_pickle=False) as file:
            names = next((pair for pair in NAMES if set(pair) <= set(file.files)), None)
            if names is None:
                raise ValueError(f"it holds {', '.join(file.files)[:80] or 'nothing'}, not {' and '.join(NAMES[0])}")
            mean, covariance = (np.asarray(file[name], np.float64) for name in names)
    except (OSError, ValueError, TypeError, EOFError, MemoryError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise InputError(
            f"{path}: is no .npz of statistics ({reason}); make it with pytorch-fid --save-stats"
        ) from error
    if mean.ndim != 1 or not len(mean) or covariance.shape != (len(mean), len(mean)):
        shapes = f"{list(mean.shape)} and {list(covariance.shape)}"
        raise InputError(f"{path}: mean and covariance are {shapes}, should be [F] and [F, F]; make the file again")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError(f"{path}: has numbers that are not finite; make the file again")
    return Moments(mean, covariance)


def _width(extractor: Extractor, device: torch.device) -> int:
    return extractor(torch.zeros(1, 3, PROBE, PROBE, device=device))[0].shape[1]
