import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datasets import ravdess
from datasets.errors import InputError
from s2i import train_emotion
from s2i.emotion import SpeechEmotion, experiments
from s2i.emotion import report as emotion_report
from s2i.emotion.dataset import Labels, load_features
from s2i.emotion.recognisers import RECOGNISERS
from s2i.emotion.training import fit, predict
from s2i.evaluation.cache import Cache
from s2i.train_emotion import PRESETS, EmotionConfig

RATE = 16_000
ACTORS = (1, 2, 3, 4)
REAL = ravdess.default_root()


def draw(root, actors=ACTORS):
    """Two tones of each emotion by each actor, under official names: emotions differ in pitch, actors in overtones."""
    time = np.arange(round(0.5 * RATE)) / RATE
    for actor in actors:
        for emotion in range(1, 9):
            for repetition in (1, 2):
                path = root / f"Actor_{actor:02}" / f"03-01-{emotion:02}-01-01-{repetition:02}-{actor:02}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                hertz = 150 * 1.4**emotion * (1.01 if repetition == 2 else 1)
                wave = np.sin(2 * np.pi * hertz * time) + (0.5 + 0.1 * actor) * np.sin(4 * np.pi * hertz * time)
                wave = 0.2 * wave * np.minimum(1, 20 * time)
                soundfile.write(path, wave.astype(np.float32), RATE)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("ravdess"))


@pytest.fixture(scope="module")
def learnt(root, tmp_path_factory):
    recordings = ravdess.read(root).recordings
    return load_features(recordings, Cache(tmp_path_factory.mktemp("cache"))), Labels.of(recordings)


def tiny(root, folder, **changed):
    return replace(PRESETS["tiny"], ravdess=root, run=folder / "run", output=folder / "shipped", **changed)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_each_learns_tones_by_heart(name, learnt):
    features, labels = learnt
    recogniser = replace(RECOGNISERS[name], epochs=25, batch_size=8, learning_rate=3e-3)
    everything = np.arange(len(labels.emotion))
    network = fit(recogniser, features, labels, everything, seed=0)
    predicted = predict(network, recogniser.inputs, features, everything)["emotion"].argmax(1)
    assert float((predicted == recogniser.labels(labels.emotion)).float().mean()) > (0.5 if name == "ours" else 0.7)


@pytest.mark.parametrize("name", ["mlp", "ours"])
def test_the_same_seed_gives_the_same_weights(name, learnt):
    features, labels = learnt
    recogniser = replace(RECOGNISERS[name], epochs=1)
    chosen = np.arange(0, 64, 3)
    one, again, other = (fit(recogniser, features, labels, chosen, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_features_are_kept_and_those_of_conditions_differ(root, tmp_path):
    recordings, cache = ravdess.read(root).recordings[:4], Cache(tmp_path)
    clean = load_features(recordings, cache)
    again = load_features(recordings, cache)
    assert torch.equal(clean.windows, again.windows)
    assert all(torch.equal(a, b) for a, b in zip(clean.mels, again.mels, strict=True))
    assert len(list(tmp_path.glob("features-*.npz"))) == 1
    noisy = load_features(recordings, cache, "white", 0.0)
    assert not torch.allclose(noisy.means, clean.means)


@pytest.mark.slow
def test_the_whole_job_and_that_it_goes_on(root, tmp_path, monkeypatch):
    config = tiny(root, tmp_path, recognisers=("mlp", "conv1d", "ours"))
    report = train_emotion.train(config)
    for protocol in ("random_split", "actor_independent"):
        assert list(report[protocol]) == ["mlp", "conv1d", "ours"]
        for row in report[protocol].values():
            assert 0 <= row["accuracy"] <= 1
            assert {"std", "macro_f1"} <= row.keys()
        assert np.sum(report[protocol]["ours"]["confusion"]) == report[protocol]["ours"]["recordings_tested"]
    assert (
        report["actor_independent"]["conv1d"]["accuracy_of_eight"] <= report["actor_independent"]["conv1d"]["accuracy"]
    )
    assert {"noise 20 dB", "noise 10 dB", "noise 0 dB", "telephone"} <= report["actor_independent"]["mlp"].keys()
    assert {"accuracy", "std"} <= report["voice_attribute"].keys()
    assert report["meta"]["actors"] == list(ACTORS)
    assert json.loads((config.output / "emotion.json").read_text()) == json.loads(json.dumps(report))
    assert "actors 05, 06" in (config.output / "emotion.json").read_text()
    assert (config.output / "emotion.png").stat().st_size > 10_000
    assert "| MLP, 180 features | 62.0 |" in (config.output / "emotion.md").read_text()
    listener = SpeechEmotion.load(config.output / "emotion.safetensors")
    assert listener(next(root.rglob("*.wav"))).label in ravdess.EMOTIONS

    def never(*_arguments, **_options):
        raise AssertionError("trained again")

    monkeypatch.setattr(experiments, "train", never)
    again = train_emotion.train(config)
    assert again["actor_independent"] == report["actor_independent"]
    with pytest.raises(AssertionError, match="trained again"):
        train_emotion.train(replace(config, seed=1))


def test_jobs_are_all_that_is_compared(root):
    recordings = tuple(ravdess.read(root).recordings)
    config = EmotionConfig(folds=4, random_splits=3, repeats=2, beginnings=2)
    experiments = train_emotion.experiments_of(config, recordings)
    assert len(experiments) == 6 * (3 + 4 * 2) + 2 + 2 * 3
    assert len({experiment.name for experiment in experiments}) == len(experiments)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"recognisers": ("mlp", "ear", "ours")}, "ear: unknown"),
        ({"recognisers": ("mlp",)}, "lacks ours"),
        ({"folds": 1}, "--folds 1"),
        ({"beginnings": 5}, "--beginnings 5"),
        ({"random_splits": 0}, "--random-splits 0"),
        ({"workers": 0}, "--workers 0"),
        ({"epoch_share": 0}, "--epoch-share 0"),
        ({"seed": -1}, "--seed -1"),
        ({"repeats": 0}, "--repeats 0"),
    ],
)
def test_bad_options_are_refused(changed, words):
    with pytest.raises(InputError, match=words):
        EmotionConfig(**changed)


def test_bad_folders_are_refused(root, tmp_path):
    with pytest.raises(InputError, match="not found; set RAVDESS_ROOT"):
        train_emotion.train(tiny(tmp_path / "none", tmp_path))
    draw(tmp_path / "few", (1,))
    with pytest.raises(InputError, match="1 actors are too few for 2 folds"):
        train_emotion.train(tiny(tmp_path / "few", tmp_path))
    damaged = draw(tmp_path / "damaged", (1, 2)) / "Actor_01" / "03-01-01-01-01-01-01.wav"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"03-01-01-01-01-01-01\.wav: is cut off"):
        train_emotion.train(tiny(tmp_path / "damaged", tmp_path))
    with pytest.raises(InputError, match="speech encoder not found"):
        train_emotion.train(tiny(root, tmp_path, beginnings=1, sen=tmp_path / "none.safetensors"))


def test_the_names_are_those_of_the_recognisers():
    assert tuple(RECOGNISERS) == train_emotion.NAMES  # which --help cannot ask, since it would import torch


def test_a_dry_run_prints_the_configuration(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RAVDESS_ROOT", str(tmp_path))
    with pytest.raises(SystemExit) as leaving:
        train_emotion.main(["--preset", "tiny", "--dry-run"])
    assert leaving.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ravdess"] == str(tmp_path)


def test_the_page_holds_what_the_report_says():
    row = {"accuracy": 0.625, "std": 0.03, "macro_f1": 0.6, "macro_f1_std": 0.02, "trials": 10}
    seven = {**row, "classes": 7, "accuracy_of_eight": 0.4}
    report = {
        "meta": {
            "recordings": 3,
            "actors": [1],
            "protocols": {"random_split": "A", "actor_independent": "B"},
            "published_protocol": "C",
        },
        "random_split": {"lstm": row, "conv1d": seven},
        "actor_independent": {"conv1d": seven},
        "voice_attribute": {"accuracy": 0.99, "std": 0.01},
    }
    page = emotion_report.page(report)
    assert (
        "| LSTM in both directions, five windows of 180 features | 75.0 | 62.5 ± 3.0 | 60.0 ± 2.0 |  |  | 10 |" in page
    )
    assert "40.0 % and 40.0 %" in page
    assert "99.0 ± 1.0 %" in page


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no RAVDESS at {REAL}; set RAVDESS_ROOT")
def test_real_recordings_have_features_of_speech(tmp_path):
    recordings = ravdess.read(REAL).recordings[:3]
    features = load_features(recordings, Cache(tmp_path))
    assert features.windows.shape == (3, 5, 180)
    for mel in features.mels:
        assert 60 < len(mel) < 400
    assert Path(recordings[0].path).is_file()
