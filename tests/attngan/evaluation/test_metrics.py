import math

import pytest
import torch

from attngan.evaluation import metrics
from datasets.errors import InputError


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SPECIES = torch.arange(400) % 20


def test_perfect_features_score_100():
    features = draw(400, 16)
    assert metrics.r_precision(features, features, SPECIES) == (100.0, 0.0)


def test_random_features_score_one_in_a_hundred():
    # 1 of 100 by chance. Draws of one picture share its score, so at worst 1000 independent trials: +-0.3, 4 of them.
    n = 1000
    score = metrics.r_precision(draw(n, 16), draw(n, 16, seed=1), torch.arange(n) % 20)
    assert score.mean == pytest.approx(1.0, abs=1.3)
    assert score.mean > 0
    few = metrics.r_precision(draw(n, 16), draw(n, 16, seed=1), torch.arange(n) % 20, candidates=4)
    assert few.mean == pytest.approx(25.0, abs=4 * 100 * math.sqrt(0.25 * 0.75 / n))


def test_constant_features_score_nothing():
    # The convention that published code has the other way round: there a tie counts as a hit.
    assert metrics.r_precision(torch.ones(400, 4), torch.ones(400, 4), SPECIES).mean == 0
    assert metrics.r_precision(draw(400, 4), torch.ones(400, 4), SPECIES).mean == 0


def test_opposite_features_score_nothing():
    features = draw(400, 16)
    assert metrics.r_precision(features, -features, SPECIES).mean == 0


def test_others_are_never_of_the_same_species():
    # Captions of one species are alike but for a trifle, by which another picture of it is always the nearest.
    corner = torch.eye(20)[SPECIES]
    captions = corner.clone()
    captions[:200] += 0.01 * draw(200, 20)  # row k is not the nearest caption of picture k among its own species
    assert metrics.r_precision(corner, captions, SPECIES).mean == 100
    assert metrics.recall(corner, captions)[1] < 60


def test_length_of_features_does_not_count():
    pictures, captions = draw(400, 8), draw(400, 8) + draw(400, 8, seed=1)
    longer = captions * torch.linspace(0.1, 10, 400)[:, None]
    assert metrics.r_precision(pictures, captions, SPECIES) == metrics.r_precision(pictures, longer, SPECIES)


def test_r_precision_repeats_by_seed():
    pictures, captions = draw(400, 8), draw(400, 8) + 1.5 * draw(400, 8, seed=1)
    first = metrics.r_precision(pictures, captions, SPECIES, seed=3)
    assert first == metrics.r_precision(pictures, captions, SPECIES, seed=3)
    assert first != metrics.r_precision(pictures, captions, SPECIES, seed=4)
    assert 5 < first.mean < 90
    assert 0 < first.std < 10


def test_r_precision_equals_a_loop():
    # With as many candidates as there are captions of other species nothing is left to chance.
    species = torch.arange(30) % 3
    pictures, captions = draw(30, 4), draw(30, 4) + draw(30, 4, seed=1)
    hits = 0
    for k in range(30):
        rivals = [j for j in range(30) if species[j] != species[k]]
        own = torch.cosine_similarity(pictures[k], captions[k], dim=0)
        hits += all(own > torch.cosine_similarity(pictures[k], captions[j], dim=0) for j in rivals)
    score = metrics.r_precision(pictures, captions, species, candidates=21, draws=1)
    assert score.mean == pytest.approx(100 * hits / 30)
    assert 0 < hits < 30


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(value):
    broken = draw(400, 8)
    broken[3, 2] = value
    with pytest.raises(ValueError, match="not finite"):
        metrics.r_precision(broken, draw(400, 8), SPECIES)
    with pytest.raises(ValueError, match="not finite"):
        metrics.r_precision(draw(400, 8), broken, SPECIES)
    with pytest.raises(ValueError, match="not finite"):
        metrics.recall(broken, broken)


def test_too_few_captions_are_refused():
    with pytest.raises(ValueError, match="too few"):
        metrics.r_precision(draw(50, 8), draw(50, 8), torch.arange(50) % 5)


def test_recall_by_hand():
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]])
    # The own item is the 1st of query 0, the 2nd of query 1 (after item 2), the 4th of query 2, the 1st of query 3.
    queries = torch.tensor([[1.0, -0.1], [0.6, 0.8], [-1.0, -1.0], [-1.0, 0.5]])
    assert metrics.recall(queries, gallery, at=(1, 2, 3, 4)) == {1: 50.0, 2: 75.0, 3: 75.0, 4: 100.0}


def test_recall_of_constant_features_is_not_perfect():
    assert metrics.recall(torch.ones(20, 3), torch.ones(20, 3)) == {1: 0.0, 5: 0.0, 10: 0.0}


def test_retrieval_uses_every_caption_of_a_picture():
    pictures = draw(400, 16)
    found = metrics.retrieval(pictures, torch.stack([pictures, -pictures]), SPECIES)
    assert found["r_precision"] == pytest.approx(50)
    assert found["recall_at_1"] == pytest.approx(50)
    assert set(found) == {"r_precision", "r_precision_std", "recall_at_1", "recall_at_5", "recall_at_10"}


def test_retrieval_goes_from_caption_to_picture():
    # One picture that is near every caption: captions find it before their own; each picture still finds its caption.
    pictures, captions = torch.eye(4), torch.eye(4) + 0.5
    pictures[0] = 1
    found = metrics.retrieval(pictures, captions[None], torch.arange(4))
    assert found["recall_at_1"] == pytest.approx(metrics.recall(captions, pictures)[1])
    assert found["recall_at_1"] != pytest.approx(metrics.recall(pictures, captions)[1])


def test_retrieval_takes_fewer_candidates_where_there_are_few():
    found = metrics.retrieval(draw(10, 8), draw(1, 10, 8), torch.arange(10) % 5)
    assert 0 <= found["r_precision"] <= 100


def test_mean_average_precision_by_hand():
    gallery = torch.tensor([[1.0, 0.0], [2.0, 1.0], [1.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    species = torch.tensor([7, 8, 7, 8, 7])
    # Query 0 sees the gallery in its order: its species 7 at ranks 1, 3, 5, (1/1 + 2/3 + 3/5) / 3. Query 1 sees it as
    # 3, 2, 1, 0, 4: its species 8 at ranks 1 and 3, (1/1 + 2/3) / 2.
    queries = torch.tensor([[5.0, 0.1], [0.01, 1.0]])
    expected = 100 * ((1 + 2 / 3 + 3 / 5) / 3 + (1 + 2 / 3) / 2) / 2
    found = metrics.mean_average_precision(queries, gallery, torch.tensor([7, 8]), species)
    assert found == pytest.approx(expected)


def test_mean_average_precision_equals_a_loop():
    species, own = torch.arange(60) % 5, torch.arange(23) % 5
    gallery, queries = draw(60, 4), draw(23, 4, seed=1) + torch.eye(5)[own][:, :4]
    total = 0.0
    for query, kind in zip(queries, own, strict=True):
        ranked = species[torch.cosine_similarity(query[None], gallery).argsort(descending=True)] == kind
        hits = [k for k, hit in enumerate(ranked.tolist(), 1) if hit]
        total += sum(n / k for n, k in enumerate(hits, 1)) / len(hits)
    found = metrics.mean_average_precision(queries, gallery, own, species)
    assert found == pytest.approx(100 * total / 23, rel=1e-5)


def test_mean_average_precision_of_perfect_constant_and_opposite_features():
    features = torch.eye(20)[SPECIES]
    assert metrics.mean_average_precision(features, features, SPECIES, SPECIES) == pytest.approx(100)
    flat = torch.ones(400, 7)  # every picture ties with all: 20 of 400 are relevant
    assert metrics.mean_average_precision(features[:, :7] + 1, flat, SPECIES, SPECIES) == pytest.approx(5)
    assert metrics.mean_average_precision(features, -features, SPECIES, SPECIES) == pytest.approx(5)


def test_mean_average_precision_falls_with_noise():
    features = torch.eye(20)[SPECIES]
    found = [
        metrics.mean_average_precision(features, features + spread * draw(400, 20), SPECIES, SPECIES)
        for spread in (0.1, 0.4, 1.0, 4.0)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] > 95
    assert found[-1] < 20


def test_mean_average_precision_refuses_what_it_cannot_rank():
    features = draw(400, 8)
    with pytest.raises(InputError, match="8 wide in queries, 7"):
        metrics.mean_average_precision(features, features[:, :7], SPECIES, SPECIES)
    with pytest.raises(InputError, match="no picture of species 3"):
        metrics.mean_average_precision(features, features[:3], SPECIES, SPECIES[:3])
    with pytest.raises(InputError, match="not finite"):
        metrics.mean_average_precision(features, features.log(), SPECIES, SPECIES)
