import resource

import numpy as np
import pytest
import torch

from attngan.networks.encoders import build_image_encoder
from attngan.networks.image_encoder import ImageEncoder
from attngan.networks.trunks import TimmTrunk
from attngan.training.feature_cache import FeatureCache
from datasets import prepare
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Pictures, to_unit


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    config = prepare.PrepareConfig(
        source="drawn",
        output=tmp_path_factory.mktemp("cache") / "birds.h5",
        recordings_per_picture=0,
        measuring_recordings_per_picture=0,
        short_side=40,
        engines=("espeak",),
        drawn_pictures=30,
        drawn_species=6,
        workers=1,
    )
    return Corpus(prepare.build(config))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_image_encoder({"trunk": "scratch", "size": 32, "width": 4, "blocks": [1, 1, 1, 1]}).eval()


def cache_of(folder, corpus, encoder, views=2):
    indices = corpus.pictures_of("train")
    return FeatureCache(folder, corpus, indices, encoder, views=views, device=torch.device("cpu"))


def test_features_are_those_of_the_trunk(tmp_path, corpus, encoder):
    chosen = corpus.pictures_of("train")[[3, 0]]
    cached = cache_of(tmp_path, corpus, encoder).features(torch.from_numpy(chosen), np.array([0, 1]))
    pictures = Pictures(corpus, chosen, 32)
    crops = [pictures.crop(int(chosen[0]), None), pictures.crop(int(chosen[1]), np.random.default_rng([1, chosen[1]]))]
    with torch.no_grad():
        expected = encoder.trunk(to_unit(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)))
    torch.testing.assert_close(cached.local, expected.local, rtol=2e-3, atol=2e-3)  # kept in half precision
    torch.testing.assert_close(cached.pooled, expected.pooled, rtol=2e-3, atol=2e-3)


def test_it_is_computed_once_for_the_same_trunk_and_again_for_another(tmp_path, corpus, encoder):
    cache_of(tmp_path, corpus, encoder)
    (first,) = tmp_path.iterdir()
    written = first.stat().st_mtime_ns
    cache_of(tmp_path, corpus, encoder)
    assert first.stat().st_mtime_ns == written
    with torch.no_grad():
        next(encoder.trunk.parameters()).add_(1)
    cache_of(tmp_path, corpus, encoder)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, corpus, encoder):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # as good as full: writing more fails
    try:
        with pytest.raises(InputError, match=r"features-\w+\.npy: cannot be written"):
            cache_of(tmp_path, corpus, encoder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 10, 127, 5000, -1])
def test_a_file_that_is_cut_off_is_made_again(tmp_path, corpus, encoder, kept):
    first = cache_of(tmp_path, corpus, encoder)
    data = first.path.read_bytes()
    first.path.write_bytes(data[:kept])
    cache_of(tmp_path, corpus, encoder)
    assert first.path.read_bytes() == data


def test_damaged_features_are_told(tmp_path, corpus, encoder):
    first = cache_of(tmp_path, corpus, encoder)
    path, view = first.path, first._kind.itemsize  # bytes
    index, data = torch.from_numpy(corpus.pictures_of("train")[:3]), bytearray(path.read_bytes())
    assert np.load(path).shape == (20, 2)
    data[first._begin + 8] ^= 1  # the first picture, one view
    path.write_bytes(data)
    cache = cache_of(tmp_path, corpus, encoder)
    cache.features(index[1:], np.array([0, 1]))
    with pytest.raises(InputError, match=r"features of picture 0 are damaged .*; remove the file") as caught:
        cache.features(index[[0, 0]], np.array([0, 1]))
    assert "\n" not in str(caught.value)
    path.write_bytes(data[: first._begin + 4 * view])  # cut off while it is open
    with pytest.raises(InputError, match="features of picture 2 are damaged"):
        cache.features(index[2:], np.array([1]))


def test_a_trunk_of_timm_is_told_from_others_by_its_checksum_and_by_the_size(tmp_path, corpus):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    one, other = (ImageEncoder(TimmTrunk(network, size=32, checksum=name)).eval() for name in "ab")
    cache_of(tmp_path, corpus, one)
    (first,) = tmp_path.iterdir()
    for encoder, size, files in ((one, None, 1), (one, 64, 2), (other, None, 3)):
        indices = corpus.pictures_of("train")
        cache = FeatureCache(
            tmp_path, corpus, indices, encoder, views=2, device=torch.device("cpu"), size=size
        ).features(torch.from_numpy(indices[:1]), np.array([0]))
        assert cache.local.shape[-1] == (size or 32) // 16
        assert len(list(tmp_path.iterdir())) == files
    assert first.is_file()
