"""The bench runs; what it measures is not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attngan.networks.discriminator import Discriminator
from datasets.errors import InputError
from scripts.benchmark import cost, page, reference, rows, sides

ROOT = Path(__file__).resolve().parents[1]


def parameters(network):
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.slow
def test_quick(tmp_path):
    found = tmp_path / "bench.json"
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), "--quick", "--json", str(found)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ}, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    table = json.loads(found.read_text())
    for name in ("train_256", "train_512", "damsm_step", "sen_step", "latency_512", "throughput_512", "loader"):
        row = table[name]
        assert row["ours"] > 0
        assert row["reference"] > 0
        better = row["reference"] / row["ours"] if row["unit"] == "s" else row["ours"] / row["reference"]
        assert row["ratio"] == pytest.approx(better)
        assert row["ours_memory_mb"] > 0
        assert row["reference_memory_mb"] > 0
    assert {"machine", "threads", "versions", "commit"} <= set(table["meta"])
    assert table["growing"]["cpu-64"]["hours"] > 0
    assert table["ablation"]["bf16"]["times_faster"] > 0
    assert [row["side"] for row in table["cost"]["paint_side"]["rows"]] == [64, 128]
    assert all(name in done.stdout for name in table if name != "meta")


def test_an_unknown_row_is_one_line():
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), "--only", "train_1024"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --only train_1024: unknown; choose one of train_256, train_512")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("side", "millions"), [(64, 6.3), (128, 19.4), (256, 71.9), (512, 281.6)], ids=lambda value: str(value)
)
def test_the_reference_has_the_discriminators_of_the_published_sizes(side, millions):
    with torch.device("meta"):
        assert parameters(reference.Discriminator(side)) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(("stages", "millions"), [(3, 7.08), (4, 7.35)])
def test_the_reference_has_the_generator_of_the_published_size(stages, millions):
    with torch.device("meta"):
        assert parameters(reference.Generator(stages)) / 1e6 == pytest.approx(millions, rel=0.01)


def test_the_reference_trains_each_of_its_networks():
    torch.manual_seed(0)
    training = reference.Training(64, torch.device("cpu"), shrink=8)
    before = [weight.detach().clone() for weight in training.generator.parameters()]
    judge = training.discriminators[0].alone.weight.detach().clone()
    parts = training.step([torch.randn(2, 3, 64, 64)], torch.randint(0, 99, (2, 5)), torch.arange(2))
    assert set(parts) == {"generator_forward", "discriminators", "generator_step"}
    assert all((a != b).any() for a, b in zip(before, training.generator.parameters(), strict=True))
    assert (judge != training.discriminators[0].alone.weight).any()


def test_every_row_has_both_sides():
    assert {row.options["kind"] for row in rows.ROWS.values()} == set(sides.KINDS)
    assert all(row.unit in ("s", "pictures/s") for row in rows.ROWS.values())


def test_growth_by_hand():
    points = [{"side": side, "batch": 2} for side in (64, 128, 256)]
    assert cost.growth("side", points, [1.0, 4.0, 16.0]) == pytest.approx((1, 1))  # as the pixels
    assert cost.growth("side", points, [1.0, 4.0, 64.0]) == pytest.approx((1.5, 2))
    stages = [{"side": 64, "batch": 2, "stages": count} for count in (1, 2)]
    assert cost.growth("stages", stages, [1.0, 2.0]) == pytest.approx((1, 1))


def test_points_vary_one_thing_at_a_time():
    for kind in (cost.PAINT, cost.TRAIN):
        for name, points in cost.points(kind, quick=False).items():
            for point in points:
                assert point["side"] >> (point["stages"] - 1) >= 8
            fixed = {"batch", "segments"} - {name}
            assert all(len({point[other] for point in points}) == 1 for other in fixed)


def test_ours_is_narrower_than_the_reference_at_the_end_alone():
    with torch.device("meta"):
        ours, published = Discriminator(resolution=512, width=16), reference.Discriminator(512)
    assert parameters(ours) < parameters(published) / 10


def test_the_page_shows_the_figures_that_are_shipped():
    found = json.loads((ROOT / "pretrained" / "bench.json").read_text())
    text = (ROOT / "pretrained" / "speed.md").read_text()
    for made in (page.comparison, page.quality, page.growing, page.ablation, page.cost, page.growth, page.machine):
        assert made(found) in text


def test_tables_go_between_their_marks(tmp_path):
    row = {"unit": "s", "ours": 0.5, "reference": 2.0, "ratio": 4.0, "processor_ratio": 3.96, "batch": 1}
    found = {
        "latency_512": {**row, "ours_memory_mb": 1000, "reference_memory_mb": 12_345},
        "meta": {"machine": "a machine", "threads": 2, "versions": {"torch": "2.11"}, "commit": "abc"},
    }
    path = tmp_path / "page.md"
    names = ("machine", "comparison", "quality", "growing", "ablation", "cost", "growth")
    path.write_text(
        "before\n" + "".join(f"<!-- {name} -->\nold\n<!-- end of {name} -->\n" for name in names) + "after\n"
    )
    page.write(path, found)
    text = path.read_text()
    assert "| recording to 512 px PNG, published widths | 1 | 0.5 s a picture | 2 s a picture | **4** | 4 |" in text
    assert "1,000 / 12,345" in text
    assert "a machine" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    page.write(path, found)
    assert path.read_text() == text
    path.write_text("no marks")
    with pytest.raises(InputError, match="no place marked for comparison"):
        page.write(path, found)
