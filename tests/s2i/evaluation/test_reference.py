import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from attngan.evaluation import distances
from attngan.evaluation.evaluators import CLASSIFIER, HELD_OUT, Evaluators
from attngan.evaluation.inception import InceptionExtractor
from datasets.errors import InputError
from s2i import evaluate
from s2i.evaluation import reference
from s2i.evaluation.cache import Cache
from tests.helpers import refused, write_classifier, write_damsm


@pytest.fixture
def folder(tmp_path):
    """Evaluators, and the weights that they name."""
    folder = tmp_path / "evaluators"
    write_classifier(folder / CLASSIFIER)
    write_damsm(folder / HELD_OUT, 1)
    write_damsm(tmp_path / "model" / "damsm.safetensors", 2)
    return folder


@pytest.fixture
def evaluators(folder, tmp_path):
    return Evaluators.load(folder, tmp_path / "model" / "damsm.safetensors")


def pictures(folder, seed, count=12, side=40):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def features_of(folder, evaluators):
    arrays = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
    batch = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2) / 127.5 - 1
    return evaluators.extractor(batch)[0]


def run(config):
    with pytest.MonkeyPatch.context() as change:
        change.setattr("sys.argv", ["evaluate"])
        evaluate.main([f"--{name}={value}" for name, value in config.items()])


@pytest.fixture
def options(folder, tmp_path):
    paths = {"evaluators": folder, "model": tmp_path / "model", "work": tmp_path / "work", "splits": 2}
    return {**paths, "folder": pictures(tmp_path / "theirs", 1)}


def test_a_folder_is_compared_with_a_folder(options, evaluators, tmp_path):
    real = pictures(tmp_path / "real", 2)
    run({**options, "real": real})
    found = json.loads((tmp_path / "work" / "folder-theirs.json").read_text())
    one, other = (features_of(place, evaluators) for place in (real, options["folder"]))
    row = found["rows"]["theirs"]
    assert row["fid"]["mean"] == pytest.approx(distances.frechet_distance(one, other), rel=1e-4)
    assert row["kid"]["mean"] == pytest.approx(distances.kernel_distance(one, other).mean, rel=1e-3, abs=1e-5)
    assert (found["meta"]["real"], found["meta"]["real_pictures"]) == (str(real), 12)


def test_pictures_are_not_reduced_unless_they_are_large(evaluators, tmp_path):
    real = pictures(tmp_path / "real", 2, side=200)
    wanted = distances.moments(features_of(real, evaluators))
    found = reference.load(real, evaluators, Cache(tmp_path / "work")).moments
    np.testing.assert_allclose(found.mean, wanted.mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("names", [("mu", "sigma"), ("mean", "covariance")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_folder_is_compared_with_statistics(options, evaluators, tmp_path, capsys, names, save):
    real = pictures(tmp_path / "real", 2)
    moments = distances.moments(features_of(real, evaluators))
    save(tmp_path / "stats.npz", **dict(zip(names, moments, strict=True)))
    run({**options, "real": tmp_path / "stats.npz"})
    row = json.loads((tmp_path / "work" / "folder-theirs.json").read_text())["rows"]["theirs"]
    wanted = distances.frechet_distance(features_of(real, evaluators), features_of(options["folder"], evaluators))
    assert row["fid"]["mean"] == pytest.approx(wanted, rel=1e-4)
    assert "kid" not in row
    assert "KID cannot be had" in capsys.readouterr().out


@pytest.mark.slow
def test_statistics_of_pytorch_fid_are_ours_of_the_same_folder(evaluators, tmp_path, monkeypatch):
    from pytorch_fid import fid_score, inception

    torch.manual_seed(1)
    made, build = [], inception._inception_v3
    monkeypatch.setattr(inception, "_inception_v3", lambda **more: made.append(build(**more)) or made[0])
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: made[0].state_dict())
    published = inception.InceptionV3().eval()
    torch.save(made[0].state_dict(), tmp_path / "fid.pth")
    real = pictures(tmp_path / "real", 3, count=4, side=160)
    mean, covariance = fid_score.calculate_activation_statistics(
        sorted(map(str, real.iterdir())), published, batch_size=4, num_workers=0
    )
    np.savez(tmp_path / "stats.npz", mu=mean, sigma=covariance)
    evaluators.extractor = InceptionExtractor(tmp_path / "fid.pth", None, evaluators.extractor)
    ours, theirs = (reference.load(place, evaluators).moments for place in (real, tmp_path / "stats.npz"))
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-2, atol=1e-5)


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def claims_much():
    """A table that claims 8 TB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("mu", "sigma"):
            archive.writestr(f"{name}.npy", header.getvalue())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no .npz"),
        (b"no zip at all", "no .npz"),
        (npz(features=np.ones(3)), "features"),
        (npz(mu=np.ones(3), sigma=np.ones((2, 2))), "should be [F] and [F, F]"),
        (npz(mu=np.ones(0), sigma=np.ones((0, 0))), "should be"),
        (npz(mu=np.full(3, np.nan), sigma=np.eye(3)), "not finite"),
        (npz(mu=np.ones(3), sigma=np.eye(3)), "statistics of 3 dimensions"),
        (npz(mu=np.array(["a"]), sigma=np.eye(1)), "no .npz"),
        (npz(mu=np.ones(3), sigma=np.eye(3))[:-40], "no .npz"),
        (npz(mu=np.array([{}]), sigma=np.eye(1)), "no .npz"),
        (npz(mu=np.zeros(40_000_000), sigma=np.eye(1)), "unpacks"),
        (claims_much(), "no .npz"),
    ],
)
def test_what_is_no_statistics_is_refused_in_one_line(evaluators, tmp_path, data, words):
    (tmp_path / "stats.npz").write_bytes(data)
    refused(lambda: reference.load(tmp_path / "stats.npz", evaluators), "stats.npz", words)


def test_any_damage_is_one_line(tmp_path):
    good = bytearray(npz(mu=np.ones(8), sigma=np.eye(8)))
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(300):
        changed = bytearray(good)
        for place in rng.integers(0, len(good), rng.integers(1, 5)):
            changed[place] = rng.integers(256)
        (tmp_path / "stats.npz").write_bytes(changed)
        try:
            reference.read_moments(tmp_path / "stats.npz")
        except InputError as error:
            read += "\n" not in str(error)
        else:
            read += 1
    assert read == 300


def test_a_reference_wants_a_folder_of_pictures_and_inception_no_corpus(options, tmp_path):
    refused(lambda: run({"real": tmp_path}), "--real", "--folder")
    refused(lambda: run({**options, "real": tmp_path / "none"}), "none", "not found")
    refused(lambda: run({**options, "real": pictures(tmp_path / "few", 1, count=3)}), "few", "3 pictures")
