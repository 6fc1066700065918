import numpy as np
import pytest
import torch

from attngan.evaluation import evaluators
from attngan.evaluation.classifier import load_classifier
from attngan.evaluation.distances import frechet_from_moments, moments
from attngan.evaluation.evaluators import (
    Evaluators,
    Matcher,
    Observations,
    RealStatistics,
    SpeciesExtractor,
    concatenate,
)
from attngan.runtime import checkpoint
from datasets.errors import InputError
from tests.helpers import write_classifier, write_damsm

VOCABULARY = ["<end>", "<unk>", "a", "red", "blue", "bird"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluators")
    write_classifier(folder / evaluators.CLASSIFIER, 1)
    write_damsm(folder / "damsm.safetensors", 2, VOCABULARY)
    write_damsm(folder / evaluators.HELD_OUT, 3, VOCABULARY)
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    return Evaluators.load(folder, folder / "damsm.safetensors")


def pictures(count, side):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(count)) * 2 - 1


def seen_in(count):
    draws = torch.Generator().manual_seed(0)
    values = {name: torch.randn(count, 3, generator=draws) for name in ("features", "probabilities", "matched")}
    return Observations(
        **values, judged=torch.randn(count, 2, generator=draws), shares=torch.rand(count, 11, generator=draws)
    )


@pytest.mark.parametrize("side", [16, 32, 64])
def test_pictures_of_any_side_are_looked_at(loaded, side):
    seen = loaded.look(pictures(3, side))
    assert seen.features.shape == (3, 32)
    assert seen.probabilities.shape == (3, 5)
    assert seen.matched.shape == seen.judged.shape == (3, 256)
    assert seen.shares.shape == (3, 11)
    for shares in (seen.probabilities, seen.shares):
        torch.testing.assert_close(shares.sum(1), torch.ones(3))
    assert not any(values.requires_grad for values in vars(seen).values())
    alone = loaded.look(pictures(3, side)[1:2])
    torch.testing.assert_close(alone.features, seen.features[1:2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(seen.matched, seen.judged)


def test_probabilities_are_the_softmax_of_what_the_classifier_says(folder):
    network, _ = load_classifier(folder / evaluators.CLASSIFIER)
    _, probabilities = SpeciesExtractor(folder / evaluators.CLASSIFIER)(pictures(2, 32))
    torch.testing.assert_close(probabilities, network(pictures(2, 32)).softmax(1))


def test_another_extractor_stands_for_the_classifier(folder, tmp_path, loaded):
    class Constant:
        name, identity = "constant", "c0ffee"

        def __call__(self, shown):
            return torch.zeros(len(shown), 2), torch.full((len(shown), 4), 0.25)

    write_damsm(tmp_path / evaluators.HELD_OUT, 3, VOCABULARY)  # a folder without a classifier
    other = Evaluators.load(tmp_path, folder / "damsm.safetensors", Constant())
    seen = other.look(pictures(2, 16))
    assert seen.features.shape == (2, 2)
    torch.testing.assert_close(seen.matched, loaded.look(pictures(2, 16)).matched)
    assert other.identity.startswith("c0ffee-")
    assert other.identity.partition("-")[2] == loaded.identity.partition("-")[2]  # the same encoders


def test_identity_tells_weights_apart(folder, tmp_path, loaded):
    assert Evaluators.load(folder, folder / "damsm.safetensors").identity == loaded.identity
    assert Evaluators.load(folder, folder / evaluators.HELD_OUT).identity != loaded.identity
    write_classifier(tmp_path / "other.safetensors", 9)
    assert SpeciesExtractor(tmp_path / "other.safetensors").identity != loaded.extractor.identity


def test_captions_are_read_alike_in_any_company(loaded):
    captions = ["a red bird", "a blue bird", "", "a bird of no known colour", "\t"] * 60  # in two parts
    sentences = loaded.matcher.read(captions)
    assert sentences.shape == (300, 256)
    torch.testing.assert_close(sentences[:5], loaded.matcher.read(captions[:5]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(sentences[2], loaded.matcher.read(["unheard-of"[:7]])[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(sentences[0], sentences[1])


def test_files_that_are_something_else_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"absent\.safetensors: .*not found"):
        Evaluators.load(folder, tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match="holds a damsm-weights"):
        SpeciesExtractor(folder / evaluators.HELD_OUT)
    with pytest.raises(InputError, match="holds a classifier-weights"):
        Matcher(folder / evaluators.CLASSIFIER)
    write_damsm(tmp_path / "free.safetensors", 1, VOCABULARY, caption="speech")
    with pytest.raises(InputError, match="trained without text"):
        Matcher(tmp_path / "free.safetensors")


def test_rows_of_what_was_seen_are_those_asked_for():
    seen = seen_in(6)
    part = seen[2:5]
    assert part.judged.shape == (3, 2)
    assert all(torch.equal(vars(part)[name], values[2:5]) for name, values in vars(seen).items())
    order = torch.tensor([5, 0, 3])
    assert torch.equal(seen[order].shares, seen.shares[order])
    assert torch.equal(seen[order][order.argsort()].features, seen.features[[0, 3, 5]])


def test_parts_together_are_the_whole():
    seen = seen_in(6)
    whole = concatenate([seen[:1], seen[1:4], seen[4:]])
    assert vars(whole).keys() == vars(seen).keys()
    assert all(torch.equal(vars(whole)[name], values) for name, values in vars(seen).items())


class Named:
    def __init__(self, identity):
        self.name, self.identity, self.features_identity = f"extractor {identity}", identity, identity


def test_statistics_come_back_as_they_were_saved(tmp_path):
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    real = RealStatistics.of(features, "abc")
    np.testing.assert_allclose(real.moments.mean, features.double().mean(0))
    np.testing.assert_allclose(real.moments.covariance, features.double().t().cov())
    path = tmp_path / evaluators.REAL
    real.save(path, {"pictures": "of birds", "kind": "nonsense"})
    again = RealStatistics.load(path, Named("abc"))
    assert (again.extractor, again.total) == ("abc", 40)
    np.testing.assert_allclose(again.moments.mean, real.moments.mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(again.moments.covariance, real.moments.covariance, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(again.features, real.features, rtol=1e-3, atol=1e-4)  # half precision
    assert again.features.dtype == torch.float32
    assert checkpoint.load(path, evaluators.REAL_KIND)[1]["pictures"] == "of birds"


def test_some_features_are_kept_and_all_count(monkeypatch):
    monkeypatch.setattr(evaluators, "KEPT", 7)
    features = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
    real = RealStatistics.of(features, "abc")
    assert real.features.shape == (7, 4)
    assert real.total == 30
    rows = [int((features == row).all(1).nonzero()) for row in real.features]
    assert len(set(rows)) == 7
    assert rows != sorted(rows)[:7] or max(rows) > 7  # of all, not the first
    np.testing.assert_allclose(real.moments.mean, features.double().mean(0))


def test_statistics_of_another_extractor_are_refused(tmp_path, folder):
    path = tmp_path / "real.safetensors"
    RealStatistics.of(torch.randn(5, 2), "abc").save(path, {})
    with pytest.raises(
        InputError, match=r"real\.safetensors: statistics by another extractor \(abc\) than extractor x"
    ):
        RealStatistics.load(path, Named("x"))
    with pytest.raises(InputError, match="holds a classifier-weights, not a real-statistics"):
        RealStatistics.load(folder / evaluators.CLASSIFIER, Named("x"))
    with pytest.raises(InputError, match="not found"):
        RealStatistics.load(tmp_path / "absent", Named("x"))


def test_statistics_of_features_that_are_not_numbers_are_refused():
    with pytest.raises(InputError, match="not finite"):
        RealStatistics.of(torch.tensor([[1.0, 2.0], [float("nan"), 1.0]]), "abc")


def test_wide_statistics_take_little_space_and_give_the_same_distances(tmp_path):
    width, draws = evaluators.WIDE, torch.Generator().manual_seed(2)
    mixing = torch.randn(width, width, generator=draws) / width**0.5
    features, others = (torch.rand(1500, width, generator=draws) @ mixing for _ in range(2))
    others = others * 1.1
    real = RealStatistics.of(features, "abc")
    path = tmp_path / evaluators.REAL
    real.save(path, {})
    assert path.stat().st_size < 2 * (evaluators.KEPT * width + width**2 / 2) + 20_000
    again = RealStatistics.load(path, Named("abc"))
    before, after = (frechet_from_moments(each.moments, moments(others)) for each in (real, again))
    assert after == pytest.approx(before, rel=5e-3)
