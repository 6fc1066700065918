"""The evaluation as a person runs it, with small networks of random weights on a few drawn birds."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import save_image

from attngan.evaluation import classifier
from attngan.evaluation.evaluators import OBSERVER_REAL
from attngan.evaluation.observer import Observer
from attngan.runtime import checkpoint
from datasets.captions import Vocabulary
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.files import make_folder
from s2i import SpeechToImage, evaluate, export_evaluators, fit_observer
from s2i.evaluation import baselines, evaluation, models
from s2i.evaluation.evaluate_config import EvaluateConfig
from s2i.evaluation.evaluation import Evaluation
from s2i.evaluation.evaluation_set import EvaluationSet, read_photographs
from tests.helpers import write_classifier, write_damsm

SIDE = 16


@pytest.fixture(scope="module")
def place(tmp_path_factory, build_birds):
    """A corpus, evaluators and weights of every row."""
    root = tmp_path_factory.mktemp("evaluate")
    birds = build_birds(root / "birds.h5", drawn_pictures=96, short_side=32)
    vocabulary = Vocabulary.build(Corpus(birds).captions).words
    write_damsm(root / "judge.safetensors", 5, vocabulary, "gru")
    write_damsm(root / "observer-judge.safetensors", 7, vocabulary)
    write_classifier(root / "classifier.safetensors", 6, n_species=12)
    folders = SimpleNamespace(root=root, birds=birds, vocabulary=vocabulary, evaluators=root / "evaluators")
    export_evaluators.main(
        f"--classifier {root}/classifier.safetensors --judge {root}/judge.safetensors --corpus {birds} --resolution 32 "
        f"--observer-judge {root}/observer-judge.safetensors --output {folders.evaluators}".split()
    )
    return folders


@pytest.fixture(scope="module")
def observed(place):
    """Evaluators with the observer's part."""
    folder = shutil.copytree(place.evaluators, place.root / "observed")
    fit_observer.main(["--corpus", str(place.birds), "--resolution", str(SIDE), "--output", str(folder)])
    return folder


@pytest.fixture
def setting(place, small, tmp_path):
    """What the command is given; the weights of the rows are made anew, so that tests may spoil them."""
    model, weights = tmp_path / "model", tmp_path / "baselines"
    small.encoder(model / "speech.safetensors")
    small.generator(model / "generator.safetensors")
    write_damsm(model / "damsm.safetensors", 4, place.vocabulary)
    for name, row in baselines.TRAINED.items():
        options = {"attention": False} if not row.changes.get("attention", True) else {}
        small.generator(weights / f"{name}.safetensors", stages=2, **options)
        if row.text_free:
            small.encoder(weights / f"{name}-speech.safetensors")
    return {
        "models": "real,stackgan,attngan,s2i,s2i_text_free",
        "corpus": place.birds,
        "model": model,
        "baselines": weights,
        "evaluators": place.evaluators,
        "text_free": tmp_path / "none",
        "synthetic": tmp_path / "drawn.json",
        "noise_samples": 0,
        "resolution": SIDE,
        "splits": 2,
        "work": tmp_path / "work",
        "output": tmp_path / "out" / "results.json",
    }


def words(setting):
    return [word for name, value in setting.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def test_table_results_and_page(setting, capsys):
    evaluate.main(words(setting))
    output = setting["output"]
    found = json.loads(output.read_text())
    assert list(found["rows"]) == setting["models"].split(",")
    assert {"commit", "command", "seed", "machine", "samples", "budget_pictures", "extractor"} <= found["meta"].keys()
    for name, row in found["rows"].items():
        assert row["about"]
        assert row["inception_score"]["mean"] >= 1
        assert {"mean", "std"} == row["fid"].keys() == row["r_precision"].keys() == row["r_precision_held_out"].keys()
        assert 0 <= row["r_precision_held_out"]["mean"] <= 100
        assert {"at_1", "at_5", "at_10", "mean_average_precision"} == row["recall"].keys()
        assert ("budget_pictures" in row) == (name != "real")
    assert found["rows"]["real"]["fid"]["mean"] < found["rows"]["s2i"]["fid"]["mean"]
    assert {"text", "seen_voices", "unseen_voices"} == found["retrieval"].keys()
    out = capsys.readouterr()
    assert "stackgan" in out.out
    assert "classifier of bird species" in out.out
    assert "text-free" in out.err
    page = output.with_suffix(".md").read_text()
    assert output.with_suffix(".jpg").name in page
    assert Image.open(output.with_suffix(".jpg")).width > 400


def test_the_observer_scores_rows_and_folders(setting, observed, place, tmp_path, capsys):
    evaluate.main(words(setting | {"models": "real,s2i", "evaluators": observed, "draws": 1}))
    found = json.loads(setting["output"].read_text())
    assert "EfficientNet-Lite2" in found["meta"]["observer"]
    for row in found["rows"].values():
        assert {"birds", "inception_score", "fid", "kid", "r_precision"} == row["observer"].keys()
        assert all({"mean", "std"} == score.keys() for score in row["observer"].values())
    assert found["rows"]["real"]["observer"]["fid"]["mean"] < found["rows"]["s2i"]["observer"]["fid"]["mean"]
    page = setting["output"].with_suffix(".md").read_text()
    assert "birds ↑, %" in page
    assert "that the classifier did not learn from" in page

    corpus = Corpus(place.birds)
    photographs = read_photographs(corpus, corpus.pictures_of("test")[:12], SIDE)
    for number, picture in enumerate(photographs):
        save_image(picture / 2 + 0.5, make_folder(tmp_path / "photographs") / f"{number}.png")
    options = {name: setting[name] for name in ("model", "splits", "work")}
    evaluate.main(words({**options, "folder": tmp_path / "photographs", "evaluators": observed}))
    row = json.loads((setting["work"] / "folder-photographs.json").read_text())["rows"]["photographs"]
    looked = Observer().look(photographs)
    assert row["observer"]["birds"]["mean"] == pytest.approx(float(looked.bird.float().mean() * 100))
    assert row["observer"]["fid"]["mean"] < found["rows"]["s2i"]["observer"]["fid"]["mean"]
    assert "birds" in capsys.readouterr().out


def test_a_part_of_the_observer_that_is_missing_is_told(setting, observed, tmp_path):
    spoilt = shutil.copytree(observed, tmp_path / "spoilt")
    (spoilt / OBSERVER_REAL).unlink()
    with pytest.raises(InputError, match=rf"{OBSERVER_REAL}: .*not found"):
        evaluate.main(words(setting | {"models": "real", "evaluators": spoilt}))


def test_figures_of_synthetic_birds_are_told(setting):
    figures = {"head": 70.0, "all": 60.5, "all_std": 1.5}
    drawn = {"real": figures, "s2i": figures, "exchanged": figures, "meta": {"pictures": 3}}
    setting["synthetic"].write_text(json.dumps(drawn))
    evaluate.main(words(setting | {"models": "real"}))
    assert json.loads(setting["output"].read_text())["drawn"] == drawn
    assert "60.5 ± 1.5 | 70.0" in setting["output"].with_suffix(".md").read_text()
    setting["synthetic"].write_text(json.dumps({"real": figures}))
    with pytest.raises(InputError, match=r"drawn\.json: not what scripts/measure_drawn\.sh writes"):
        evaluate.main(words(setting | {"models": "real"}))


def test_a_stopped_evaluation_goes_on_where_it_was(setting, monkeypatch):
    monkeypatch.setattr("s2i.evaluation.evaluation.CHUNK", 4)
    looked = []
    look = Evaluation._look_at

    def stop_after_three(self, make, chosen):
        looked.append(len(chosen))
        if len(looked) == 4:
            raise KeyboardInterrupt
        return look(self, make, chosen)

    monkeypatch.setattr(Evaluation, "_look_at", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        evaluate.main(words(setting))
    assert not setting["output"].exists()
    evaluate.main(words(setting))
    total = len(looked)
    first = json.loads(setting["output"].read_text())
    evaluate.main(words(setting))
    assert len(looked) == total  # nothing was looked at again
    again = json.loads(setting["output"].read_text())
    assert again["rows"] == first["rows"]
    monkeypatch.setattr("s2i.evaluation.evaluation.CHUNK", 256)
    evaluate.main(words({**setting, "work": setting["work"].with_name("anew")}))
    whole = json.loads(setting["output"].read_text())
    assert whole["rows"]["real"]["r_precision"] == first["rows"]["real"]["r_precision"]


def test_other_weights_are_scored_anew(setting, small):
    setting |= {"models": "s2i"}
    evaluate.main(words(setting))
    first = json.loads(setting["output"].read_text())["rows"]
    small.generator(setting["model"] / "generator.safetensors", widths=(6,))
    evaluate.main(words(setting))
    assert json.loads(setting["output"].read_text())["rows"] != first


def test_the_transcribing_row_paints_what_was_heard(setting, monkeypatch):
    monkeypatch.setattr("s2i.evaluation.evaluation.recogniser", lambda *_: "listener")

    def hear(corpus, recordings, listener, *_, **__):
        assert listener == "listener"
        return [corpus.captions[corpus.recording_caption[k]] for k in recordings]

    monkeypatch.setattr(evaluation, "transcribe", hear)
    setting |= {"models": "attngan,transcribe"}
    evaluate.main(words(setting))
    found = json.loads(setting["output"].read_text())["rows"]
    assert found["transcribe"]["word_error_rate"] == 0
    for measure in ("fid", "r_precision", "inception_score", "colours"):
        assert found["transcribe"][measure] == found["attngan"][measure]  # all heard, so the same pictures
    monkeypatch.setattr(evaluation, "transcribe", lambda c, r, *_, **__: ["" for _ in r])
    evaluate.main(words(setting))
    found = json.loads(setting["output"].read_text())["rows"]
    assert found["transcribe"]["word_error_rate"] == 100
    assert found["transcribe"]["fid"] != found["attngan"]["fid"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": "s2i,gan"}, "gan: no such row; known are real"),
        ({"models": "s2i,s2i"}, "twice"),
        ({"samples": 1000}, "--samples 1000: .* give fewer"),
        ({"samples": 1}, "fewer than --splits"),
        ({"splits": 50, "models": "s2i"}, "splits 50"),
        ({"resolution": 512}, "--resolution 512: the model paints"),
        ({"models": "", "full_size": 1000}, "--full-size 1000: .* give fewer"),
        ({"precision": "16-true"}, "--precision 16-true: unknown"),
        ({"device": "abacus"}, "device abacus: cannot be used here"),
        ({"corpus": "none.h5"}, "none.h5: corpus not found"),
        ({"table": "captions.csv"}, "--folder"),
        ({"baselines": "none"}, "stackgan.safetensors: .* not found"),
        ({"evaluators": "none"}, "classifier.safetensors: .* not found"),
    ],
)
def test_what_cannot_be_scored_is_one_line(setting, changes, message):
    with pytest.raises(InputError, match=message) as refused:
        evaluate.main(words({**setting, **changes}))
    assert "\n" not in str(refused.value)
    assert not setting["output"].exists()


def test_statistics_of_another_extractor_are_refused(setting, tmp_path, place):
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for path in place.evaluators.iterdir():
        (spoilt / path.name).write_bytes(path.read_bytes())
    network = classifier.Classifier(n_species=12, size=32, width=4, blocks=(1, 1, 1, 1))
    about = {"kind": "classifier-weights", "classifier": network.arguments}
    checkpoint.save(spoilt / "classifier.safetensors", network.state_dict(), about)
    with pytest.raises(InputError, match="another extractor"):
        evaluate.main(words({**setting, "evaluators": spoilt}))


def test_pictures_of_another_model_are_scored_from_a_folder(setting, tmp_path, capsys):
    folder = tmp_path / "theirs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["image,caption"]
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,a red bird with wings number {number}")
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    more = {"folder": folder, "table": tmp_path / "captions.csv", "corpus": "none.h5"}
    evaluate.main(words({**setting, **more}))
    found = json.loads(setting["output"].read_text())
    (row,) = found["rows"].values()
    assert row["pictures"] == 12
    assert row["fid"]["mean"] > 0
    assert "r_precision_held_out" in row
    assert "theirs" in capsys.readouterr().out


def test_samples_are_test_pictures_by_held_out_speakers(place):
    corpus = Corpus(place.birds)
    samples = EvaluationSet.of(corpus, 0, 0)
    assert len(samples) == len(corpus.pictures_of("test"))
    assert set(samples.pictures) == set(corpus.pictures_of("test"))
    assert not corpus.voice_heard[corpus.recording_voice[samples.recordings]].any()
    assert [corpus.captions[corpus.recording_caption[k]] for k in samples.recordings] == samples.captions
    assert (corpus.recording_picture[samples.recordings] == samples.pictures).all()
    few, other = EvaluationSet.of(corpus, 4, 0), EvaluationSet.of(corpus, 4, 1)
    assert len(few) == 4
    assert list(few.pictures) == list(EvaluationSet.of(corpus, 4, 0).pictures) != list(other.pictures)
    heard = EvaluationSet.of(corpus, 4, 0, speakers="training")
    assert corpus.voice_heard[corpus.recording_voice[heard.recordings]].all()


def test_a_painting_depends_on_its_own_seed_alone(setting):
    model = models.load("attngan", model=setting["model"], baselines=setting["baselines"])
    assert not model.speech
    condition = model.encode(["a red bird", "", "a blue bird with a long beak"], list)
    seeds = [(0, 0, k) for k in range(3)]
    (*_, pictures) = model.paint(condition, seeds, SIDE)
    assert pictures.shape == (3, 3, SIDE, SIDE)
    alone = model.paint(condition[1:2], seeds[1:2], SIDE)[-1]
    torch.testing.assert_close(alone, pictures[1:2], atol=1e-4, rtol=0)
    assert (model.paint(condition, [(0, 1, k) for k in range(3)], SIDE)[-1] - pictures).abs().mean() > 0.01
    assert [stage.shape for stage in model.paint(condition, seeds, 8)] == [(3, 3, 8, 8)]


def test_evaluation_paints_what_a_user_gets(setting, place):
    """The same recording, seed and precision give what `SpeechToImage` paints, up to the rounding of a batch."""
    config = EvaluateConfig(**{**setting, "models": "s2i", "resolution": 32})
    everything = Evaluation(config)
    rows = torch.arange(3)
    (pictures,) = (everything.pictures("s2i", everything.model("s2i"), 0, rows),)
    user = SpeechToImage.load(setting["model"], "cpu")
    for row in rows.tolist():
        condition = user.encoder.hear(everything.samples.mels(rows[row : row + 1]))
        (seed,) = everything.samples.seeds(rows[row : row + 1], config.seed, 0)
        noise = user.generator.sample_noise([seed])
        alone = user.generator.paint(condition, noise).pictures[-1]
        torch.testing.assert_close(pictures[row : row + 1], alone, atol=1e-4, rtol=0)


def test_the_largest_pictures_and_noise_alone(setting, monkeypatch, capsys):
    monkeypatch.setattr("s2i.evaluation.noise.recogniser", lambda *_: "listener")
    monkeypatch.setattr("s2i.evaluation.noise.transcribe", lambda c, r, *_, **__: ["a red bird" for _ in r])
    monkeypatch.setattr("datasets.distort.CONDITIONS", (("clean", None), ("white", 0.0)))
    evaluate.main(words({**setting, "models": "", "noise_samples": 4, "full_size": 8, "grid": 4}))
    figures = json.loads(setting["output"].read_text())
    assert figures["rows"] == {}
    assert figures["full_size"]["pictures"] == 8
    assert [case["condition"] for case in figures["noise"]] == ["clean", "white", "heard voices"]
    out = capsys.readouterr().out
    assert "fine_detail_of_last_stage: " in out
    assert "direct is ahead at: " in out
    page = setting["output"].with_suffix(".md").read_text()
    for name in ("results-grid.png", "results-detail.png", "results.png"):
        assert name in page
        assert Image.open(setting["output"].with_name(name)).width > 300


def test_the_defaults_are_the_shipped_files():
    config = EvaluateConfig()
    assert config.names == baselines.NAMES


def test_a_folder_leaves_the_table_alone_and_a_folder_as_output_is_refused_first(
    setting, tmp_path, monkeypatch, capsys
):
    evaluate.main(words(setting | {"models": "real", "output": setting["work"] / "results.json"}))
    table = (setting["work"] / "results.json").read_bytes()
    (tmp_path / "birds").mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "birds" / f"{number}.png")
    options = {name: setting[name] for name in ("model", "evaluators", "splits", "work")}
    evaluate.main(words(options | {"folder": tmp_path / "birds"}))
    assert capsys.readouterr().out.splitlines()[-1] == str(setting["work"] / "folder-birds.json")
    assert (setting["work"] / "results.json").read_bytes() == table
    assert list(json.loads((setting["work"] / "folder-birds.json").read_text())["rows"]) == ["birds"]
    monkeypatch.setattr(evaluate, "evaluate_folder", None)  # which therefore is not reached
    with pytest.raises(InputError, match=f"--output {tmp_path}: is a folder; name a file in it"):
        evaluate.main(words(options | {"folder": tmp_path / "birds", "output": tmp_path}))


def test_the_tiny_preset_needs_a_corpus_of_drawn_birds_alone(place, setting, tmp_path, capsys):
    with pytest.raises(InputError, match=r"none\.h5: corpus not found; make it with scripts/prepare_cub\.sh"):
        evaluate.main(["--preset", "tiny", "--corpus", str(tmp_path / "none.h5")])
    evaluate.main(["--preset", "tiny", "--corpus", str(place.birds), "--work", str(tmp_path / "w"), "--models", "real"])
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "w" / "results.json")
    assert json.loads((tmp_path / "w" / "results.json").read_text())["meta"]["samples"] == 16
