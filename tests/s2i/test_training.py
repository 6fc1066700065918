"""The three training jobs as a person runs them: the tiny presets, with smaller budgets, on a few drawn birds."""

import ast
import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import attngan.training.damsm
import attngan.training.gan
from attngan.networks.encoders import load_image_encoder, load_text_encoder
from attngan.networks.generator import load_generator
from attngan.runtime import checkpoint
from attngan.training import losses
from attngan.training.classifier_config import ClassifierConfig
from attngan.training.gan_config import GanConfig
from datasets import cli, corpus, picture_file
from datasets.captions import Vocabulary
from datasets.corpus import Corpus, Tables
from datasets.errors import InputError
from s2i import train_damsm, train_gan, train_sen
from s2i.model.speech_encoder import load_speech_encoder
from s2i.train_damsm import DamsmConfig
from s2i.train_emotion import EmotionConfig
from s2i.train_sen import SenConfig

JOBS = {"damsm": train_damsm, "sen": train_sen, "gan": train_gan}
GAMMAS = {"gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}
CONFIGS = {"damsm": DamsmConfig, "sen": SenConfig, "gan": GanConfig}
BUDGET = {"pictures": 96, "batch-size": 8, "log-every": 8, "validate-every": 48, "checkpoint-every": 24, "threads": 1}
REPOSITORY = Path(__file__).parents[2]


def options(**values) -> list[str]:
    words = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        words += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return words


def tiny(**values) -> list[str]:
    merged = {**BUDGET, **{name.replace("_", "-"): value for name, value in values.items()}}
    return ["--preset", "tiny", *options(**merged)]


def stats(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def logged(folder: Path, name: str) -> list[float]:
    return [entry[name] for entry in stats(folder) if name in entry]


def same(a, b) -> bool:
    """Whether two states hold the same numbers, tensors bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def copy_corpus(source: Path, target: Path, **changes) -> Path:
    """The corpus `source` with some of its tables replaced."""
    old = Corpus(source)
    tables = Tables(
        old.species_names,
        old.names,
        old.species.tolist(),
        old.split.tolist(),
        old.captions,
        old.caption_picture.tolist(),
        old.recording_picture.tolist(),
        old.recording_caption.tolist(),
        old.recording_voice.tolist(),
        old.recording_seed.tolist(),
        old.voice_names,
        old.voice_heard.tolist(),
    )
    tables = dataclasses.replace(tables, **changes)
    pictures = [picture_file.encode(old.picture(index)) for index in range(len(old))]
    mels = [np.asarray(old.mel(index)) for index in range(len(tables.recording_picture))]
    corpus.write(target, tables, pictures, mels, sources={}, config={})
    old.close()
    return target


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def birds(root, build_birds):
    """60 drawn birds of 12 species, 2 of them for validation and 2 for testing, one espeak recording or two each."""
    return build_birds(root / "birds.h5")


@pytest.fixture(scope="module")
def wordless(root, birds):
    """The same birds and recordings without a single caption."""
    count = len(Corpus(birds).recording_caption)
    return copy_corpus(birds, root / "wordless.h5", captions=[], caption_picture=[], recording_caption=[-1] * count)


@pytest.fixture(scope="module")
def damsm(root, birds):
    train_damsm.main(tiny(corpus=birds, run=root / "damsm"))
    return root / "damsm"


@pytest.fixture(scope="module")
def sen(root, birds, damsm):
    train_sen.main(tiny(corpus=birds, run=root / "sen", damsm=damsm / "best.safetensors"))
    return root / "sen"


def gan_options(birds, damsm, sen, run, **more):
    encoders = {"damsm": damsm / "best.safetensors"}
    if sen is not None:
        encoders["sen"] = sen / "best.safetensors"
    return tiny(**{"corpus": birds, "run": run, "base": 8, "grid_every": 48, **encoders, **more})


@pytest.fixture(scope="module")
def gan(root, birds, damsm, sen):
    train_gan.main(gan_options(birds, damsm, sen, root / "gan"))
    return root / "gan"


def check_retrieval(scores):
    assert all(0 <= scores[name] <= 100 for name in ("r_precision", "recall_at_1", "recall_at_5", "recall_at_10"))


def test_damsm(damsm, capsys):
    found = json.loads((damsm / "results.json").read_text())
    check_retrieval(found["test"]["text"])
    assert found["config"]["batch_size"] == 8
    assert len(logged(damsm, "loss/words")) == len(logged(damsm, "loss/species")) == 12
    assert len(logged(damsm, "validation/r_precision")) == 2
    assert any(damsm.glob("events.out.tfevents.*"))
    encoder, vocabulary = load_text_encoder(damsm / "best.safetensors")
    assert "bird" in vocabulary
    assert not any(p.requires_grad for p in encoder.parameters())
    with pytest.raises(InputError, match="trained with text"):
        load_speech_encoder(damsm / "best.safetensors")


def test_damsm_learns(root, birds):
    budget = {"pictures": 800, "validate_every": 800, "checkpoint_every": 800, "learning_rate": 0.01}
    train_damsm.main(tiny(corpus=birds, run=root / "longer", **budget))
    total = logged(root / "longer", "loss")
    assert np.mean(total[-10:]) < 0.85 * np.mean(total[:10])


def test_a_judge_of_another_kind(root, birds, monkeypatch):
    """Another cell, another size, half of the captions: it trains, loads as what it is, and never reads the others."""
    read = set()

    def encode(self, text, real=Vocabulary.encode):
        read.add(text)
        return real(self, text)

    monkeypatch.setattr(Vocabulary, "encode", encode)
    # No validation before the end, which reads captions of other pictures, all of them.
    train_damsm.main(tiny(corpus=birds, run=root / "judge", cell="gru", size=48, captions="odd", pictures=48))
    encoder, _ = load_text_encoder(root / "judge" / "best.safetensors")
    assert isinstance(encoder.recurrent, torch.nn.GRU)
    assert load_image_encoder(root / "judge" / "best.safetensors")[0].trunk.size == 48
    source = Corpus(birds)
    trained = source.pictures_of("train")
    even = {source.captions[c] for picture in trained for c in source.captions_by_picture("even")[picture]}
    odd = {source.captions[c] for picture in trained for c in source.captions_by_picture("odd")[picture]}
    others = {
        source.captions[c]
        for split in ("validation", "test")
        for p in source.pictures_of(split)
        for c in source.captions_by_picture()[p]
    }
    assert odd & read
    assert not (even - odd - others) & read


def test_the_best_weights_are_kept(damsm):
    scores = logged(damsm, "validation/r_precision")
    _, description = checkpoint.load(damsm / "best.safetensors", "damsm-weights")
    assert description["validation"]["r_precision"] == max(scores)
    assert description["seen"] == 48 * (1 + int(np.argmax(scores)))
    state, _ = checkpoint.load(damsm / "checkpoint.safetensors", "damsm")
    assert state["best"]["r_precision"] == max(scores)


def test_sen(sen, damsm):
    found = json.loads((sen / "results.json").read_text())["test"]
    assert set(found) == {"seen_voices", "unseen_voices"}
    for scores in found.values():
        check_retrieval(scores)
    for part in ("words", "teacher", "teacher_words", "transcript"):
        assert len(logged(sen, f"loss/{part}")) == 12
    assert load_speech_encoder(sen / "best.safetensors").arguments["width"] == 32
    assert list(sen.glob("features-*.npy"))
    with pytest.raises(InputError, match="not a damsm"):
        load_image_encoder(sen / "best.safetensors")


def test_sen_without_a_teacher(root, birds, damsm, wordless):
    """On request, and where the corpus has no words."""
    alone = {"teacher_weight": 0, "teacher_words_weight": 0, "transcript_weight": 0}
    for name, source, options in (("asked", birds, alone), ("wordless", wordless, {})):
        folder = root / f"sen-alone-{name}"
        train_sen.main(tiny(corpus=source, run=folder, damsm=damsm / "best.safetensors", pictures=16, **options))
        assert logged(folder, "loss/sentence")
        for part in ("teacher", "teacher_words", "transcript"):
            assert not logged(folder, f"loss/{part}")


def test_a_corpus_without_test_pictures_is_told_before_training_and_trained(root, birds, damsm, capsys):
    old = Corpus(birds)
    untested = copy_corpus(birds, root / "untested.h5", picture_split=np.minimum(old.split, 1).tolist())
    told = "no picture of the test split has {}, so the trained weights will have no test figures"
    train_damsm.main(tiny(corpus=untested, run=root / "damsm-untested", pictures=16))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{untested}: {told.format('captions')}"
    train_sen.main(tiny(corpus=untested, run=root / "sen-untested", damsm=damsm / "best.safetensors", pictures=16))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{untested}: {told.format('recordings')}"
    for name in ("damsm-untested", "sen-untested"):
        assert (root / name / "best.safetensors").is_file()
        found = json.loads((root / name / "results.json").read_text())
        assert found["test"] == {}
        assert found["config"]["pictures"] == 16


def test_sen_leaves_the_image_encoder_as_it_was(sen, damsm):
    image, _ = load_image_encoder(damsm / "best.safetensors")
    state, _ = checkpoint.load(sen / "checkpoint.safetensors", "speech-encoder")
    for name, value in image.state_dict().items():
        assert torch.equal(state["networks"][f"image.{name}"], value), name


def test_gan_from_speech(gan):
    generator, description = load_generator(gan / "generator.safetensors")
    assert generator.resolutions == [8, 16, 32]
    assert description["condition"] == "speech"
    assert description["seen"] == 96
    assert description["validation"]["frechet"] > 0
    assert not generator.training
    assert not any(p.requires_grad for p in generator.parameters())
    assert {file.name for file in gan.glob("painted-*.png")} == {
        f"painted-{resolution}-{seen:09d}.png" for resolution in (8, 16, 32) for seen in (48, 96)
    }
    check_retrieval(
        dict(
            zip(
                ("r_precision", "recall_at_1", "recall_at_5", "recall_at_10"),
                [
                    logged(gan, f"validation/{name}")[-1]
                    for name in ("r_precision", "recall_at_1", "recall_at_5", "recall_at_10")
                ],
                strict=True,
            )
        )
    )
    assert {"generator/adversarial", "generator/damsm", "generator/divergence"} <= set(stats(gan)[0])


def test_gan_from_text(root, birds, damsm, sen):
    folder = root / "gan-text"
    train_gan.main(gan_options(birds, damsm, None, folder, condition="text", pictures=24))
    assert load_generator(folder / "generator.safetensors")[1]["condition"] == "text"


@pytest.mark.parametrize(("loss", "penalty"), [("bce", "r1"), ("hinge", "ma-gp")])
def test_gan_with_other_losses(root, birds, damsm, sen, loss, penalty):
    folder = root / f"gan-{loss}"
    more = {"loss": loss, "penalty": penalty, "damsm_weight": 0, "pictures": 16, "precision": "32-true"}
    train_gan.main(gan_options(birds, damsm, sen, folder, **more))
    assert "generator/damsm" not in stats(folder)[0]
    assert "discriminator/32" in stats(folder)[0]


def stage_weights(state, stage):
    parts = ("augmentation.", "initial.", "heads.0.") if stage == 0 else (f"refine.{stage - 1}.", f"heads.{stage}.")
    return {name: value for name, value in state.items() if name.startswith(parts)}


def test_gan_grown_and_frozen(root, birds, damsm, sen, gan):
    folder = root / "gan-grown"
    more = {
        "init": gan / "checkpoint.safetensors",
        "freeze": 2,
        "stages": 4,
        "pictures": 32,
        "texture_width": 4,
        "consistency_weight": 1,
    }
    train_gan.main(gan_options(birds, damsm, sen, folder, **more))
    old, _ = checkpoint.load(gan / "checkpoint.safetensors", "gan")
    new, _ = checkpoint.load(folder / "checkpoint.safetensors", "gan")
    for stage in (0, 1):  # as the old run averaged them, batch-norm statistics included
        for name, value in stage_weights(old["ema"], stage).items():
            assert torch.equal(new["generator"][name], value), name
            assert torch.equal(new["ema"][name], value), name
    changed = [not torch.equal(old["generator"][n], v) for n, v in stage_weights(new["generator"], 2).items()]
    assert sum(changed) > len(changed) / 2
    assert load_generator(folder / "generator.safetensors")[0].resolutions == [8, 16, 32, 64]
    judged = {name.split("/")[1] for name in stats(folder)[0] if name.startswith("discriminator/")}
    assert judged == {"32", "64", "features", "texture"}
    assert stats(folder)[0]["generator/drift"] > 0
    assert {file.name for file in folder.glob("painted-*-000000032.png")} >= {"painted-64-000000032.png"}


def test_gan_continues_from_the_live_weights(root, birds, damsm, sen, gan):
    config = dataclasses.replace(
        train_gan.PRESETS["tiny"], base=8, init=gan / "checkpoint.safetensors", stages=3, corpus=birds
    )
    from attngan.runtime.machine import make_fabric

    image, _ = load_image_encoder(damsm / "best.safetensors")
    job = attngan.training.gan.GanJob(
        config, image, load_speech_encoder(sen / "best.safetensors"), make_fabric("32-true"), GAMMAS
    )
    old, _ = checkpoint.load(gan / "checkpoint.safetensors", "gan")
    assert same(dict(job.generator.state_dict()), dict(old["generator"]))
    assert same(dict(job.adversary.networks.state_dict()), dict(old["adversary"]["networks"]))


@pytest.mark.parametrize("more", [{"widths": 16}, {"affine": False}, {"base": 16}, {"stages": 5, "freeze": 4}])
def test_gan_refuses_to_grow_from_what_does_not_fit(root, birds, damsm, sen, gan, more):
    folder = root / "-".join(["misfit", *more])
    options = gan_options(birds, damsm, sen, folder, init=gan / "checkpoint.safetensors", **more)
    with pytest.raises(InputError, match=r"gan/checkpoint\.safetensors: "):
        train_gan.main(options)
    assert not (folder / "checkpoint.safetensors").exists()


def test_text_free_from_end_to_end(root, wordless):
    """No caption in the corpus at all: the text-free DAMSM, a speech encoder of its own, and a generator on each."""
    free, more, painted = root / "free", root / "free-sen", root / "free-gan"
    train_damsm.main(tiny(corpus=wordless, run=free, modality="speech", pictures=48))
    found = json.loads((free / "results.json").read_text())["test"]
    assert set(found) == {"seen_voices", "unseen_voices"}
    with pytest.raises(InputError, match="without text"):
        load_text_encoder(free / "best.safetensors")
    train_sen.main(tiny(corpus=wordless, run=more, damsm=free / "best.safetensors", pictures=48))
    assert logged(more, "loss/words")
    assert not logged(more, "loss/teacher")
    for encoder in (free, more):
        train_gan.main(gan_options(wordless, free, encoder, painted / encoder.name, pictures=16))
        assert (painted / encoder.name / "generator.safetensors").is_file()


def test_text_asked_of_a_corpus_without_captions_is_refused(root, wordless, damsm, sen):
    with pytest.raises(InputError, match=r"wordless\.h5: has too few captions.*--modality speech"):
        train_damsm.main(tiny(corpus=wordless, run=root / "refused"))
    with pytest.raises(InputError, match=r"wordless\.h5: .*captions"):
        train_gan.main(gan_options(wordless, damsm, sen, root / "refused-gan", condition="text"))


def test_recordings_asked_of_a_silent_corpus_are_refused(root, birds, damsm):
    nothing: dict[str, list[int]] = {f"recording_{name}": [] for name in ("picture", "caption", "voice", "seed")}
    silent = copy_corpus(birds, root / "silent.h5", **nothing)
    for main, more in (
        (train_damsm.main, {"modality": "speech"}),
        (train_sen.main, {"damsm": damsm / "best.safetensors"}),
    ):
        with pytest.raises(InputError, match=r"silent\.h5: .*recordings"):
            main(tiny(corpus=silent, run=root / "refused-silent", **more))


def test_one_species_to_validate_on_is_too_few(root, birds):
    old = Corpus(birds)
    one = int(old.species[old.pictures_of("validation")[0]])
    split = [0 if s == 1 and k != one else s for s, k in zip(old.split.tolist(), old.species.tolist(), strict=True)]
    few = copy_corpus(birds, root / "few.h5", picture_split=split)
    with pytest.raises(InputError, match=r"few\.h5: .*one class only"):
        train_damsm.main(tiny(corpus=few, run=root / "few", pictures=16))


def arguments_of(job, root, birds, damsm, sen, run):
    budget = {"pictures": 240, "checkpoint_every": 16, "validate_every": 80, "run": run}
    if job == "damsm":
        return tiny(corpus=birds, **budget)
    if job == "sen":
        return tiny(corpus=birds, **budget, damsm=damsm / "best.safetensors")
    return gan_options(birds, damsm, sen, **budget, penalty="r1", grid_every=80, base=16, texture_width=4)


@pytest.mark.slow  # about 5 s each, most of it importing torch in the process that is killed
@pytest.mark.parametrize("job", list(JOBS))
def test_killed_and_resumed_is_as_never_stopped(job, root, birds, damsm, sen):
    whole, broken = root / f"{job}-whole", root / f"{job}-broken"
    JOBS[job].main(arguments_of(job, root, birds, damsm, sen, whole))
    arguments = arguments_of(job, root, birds, damsm, sen, broken)
    lines, delay = random.Random().randint(2, 20), random.Random().uniform(0, 0.03)
    moment = f"killed {delay:.4f} s after line {lines}"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(REPOSITORY)}
    module = [sys.executable, "-m", JOBS[job].__name__]
    process = subprocess.Popen([*module, *arguments], cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL)
    log = broken / "stats.jsonl"
    deadline = time.time() + 120
    while process.poll() is None and time.time() < deadline:
        if log.is_file() and log.read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, f"had finished before it was {moment}"
    before = len(log.read_text().splitlines())
    assert lines <= before < len(stats(whole)), moment
    JOBS[job].main(arguments)
    assert log.read_text() == (whole / "stats.jsonl").read_text(), moment
    kind = {"damsm": "damsm", "sen": "speech-encoder", "gan": "gan"}[job]
    states = [checkpoint.load(folder / "checkpoint.safetensors", kind)[0] for folder in (whole, broken)]
    assert same(*states), moment
    weights, kind = ("generator", "generator") if job == "gan" else ("best", f"{kind}-weights")
    shipped = [checkpoint.load(folder / f"{weights}.safetensors", kind)[0] for folder in (whole, broken)]
    assert same(*shipped), moment


def test_the_same_command_on_a_finished_run_changes_nothing(gan, root, birds, damsm, sen):
    before = {file.name: file.read_bytes() for file in gan.iterdir() if "tfevents" not in file.name}
    train_gan.main(gan_options(birds, damsm, sen, gan))
    assert {file.name: file.read_bytes() for file in gan.iterdir() if "tfevents" not in file.name} == before


def test_another_configuration_in_the_same_folder_is_refused(damsm, birds):
    with pytest.raises(InputError, match=r"started with gamma1 = 4\.0, not 3\.0"):
        train_damsm.main(tiny(corpus=birds, run=damsm, gamma1=3.0))


def run_as_command(module, arguments, monkeypatch, capsys):
    """Exit code and the lines on standard error, without the progress bars."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.run(module.main)
    errors = capsys.readouterr().err.replace("\r", "\n").splitlines()
    return stop.value.code, [line for line in errors if line.startswith(("error", "Traceback")) or "Error" in line]


@pytest.mark.parametrize("job", ["damsm", "gan"])
def test_a_loss_that_is_not_finite_is_one_line_and_keeps_the_checkpoint(
    job, root, birds, damsm, sen, monkeypatch, capsys
):
    folder = root / f"broken-{job}"
    calls, whole = [], losses.matching_loss

    def breaks(scores, species):
        calls.append(1)
        return whole(scores, species) * (float("nan") if len(calls) > 30 else 1.0)

    monkeypatch.setattr(losses, "matching_loss", breaks)
    budget = {"validate_every": 1000, "pictures": 400}
    arguments = tiny(corpus=birds, run=folder, **budget)
    if job == "gan":
        arguments = gan_options(birds, damsm, sen, folder, **budget)
    code, errors = run_as_command(JOBS[job], arguments, monkeypatch, capsys)
    assert code == 2
    assert len(errors) == 1
    assert "is not finite after" in errors[0]
    state, _ = checkpoint.load(folder / "checkpoint.safetensors", job)
    assert 0 < state["position"] < 400
    assert all(torch.isfinite(v).all() for v in state["ema"].values() if v.is_floating_point())
    assert all(np.isfinite(list(entry.values())).all() for entry in stats(folder))


@pytest.mark.parametrize(
    ("job", "more", "message"),
    [
        ("sen", {"damsm": "none.safetensors"}, "none.safetensors: .* not found"),
        ("gan", {"sen": "none.safetensors"}, "none.safetensors: .* not found"),
        ("gan", {"init": "none.safetensors"}, "none.safetensors: .* not found"),
        ("gan", {"freeze": 1}, "--freeze: needs --init"),
        ("gan", {"stages": 0}, "--stages 0: out of range"),
        ("gan", {"base": 48}, "--base 48: out of range"),
        ("gan", {"loss": "wasserstein"}, "--loss wasserstein: unknown"),
        ("damsm", {"trunk": "inception"}, "--trunk-weights: missing"),
        ("damsm", {"learning_rate": 0}, "--learning-rate 0: out of range"),
        ("damsm", {"corpus": "none.h5"}, "none.h5: corpus not found"),
        ("damsm", {"batch_size": 1}, "--batch-size 1: out of range"),
        ("sen", {"segments": 33}, "--segments 33: out of range"),
    ],
)
def test_bad_options_are_one_line(job, more, message, root, birds, damsm, sen, monkeypatch, capsys):
    given = {"run": root / "bad", "corpus": birds, **more}
    if job == "gan":
        encoders = {"damsm": damsm / "best.safetensors", "sen": sen / "best.safetensors", "base": 8}
        given = {**encoders, **given}
    arguments = tiny(**given)
    code, errors = run_as_command(JOBS[job], arguments, monkeypatch, capsys)
    assert code == 2
    assert len(errors) == 1
    assert re.search(message, errors[0])


@pytest.mark.parametrize("job", list(JOBS))
def test_dry_run_prints_every_field(job, capsys):
    for preset, config in JOBS[job].PRESETS.items():
        with pytest.raises(SystemExit) as stop:
            JOBS[job].main(["--preset", preset, "--seed", "41", "--dry-run"])
        assert stop.value.code == 0
        printed = json.loads(capsys.readouterr().out)
        assert list(printed) == [field.name for field in dataclasses.fields(config)]
        assert printed == {**json.loads(cli.as_json(config)), "seed": 41}
    assert "tiny" in JOBS[job].PRESETS


@pytest.mark.parametrize("job", list(JOBS))
def test_help_explains_every_option(job, capsys):
    with pytest.raises(SystemExit) as stop:
        JOBS[job].main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for field in dataclasses.fields(CONFIGS[job]):
        assert f"--{field.name.replace('_', '-')}" in text
    assert "--preset" in text
    assert "--dry-run" in text


def fields_that_are_read() -> set[str]:
    """Names x in `config.x` anywhere, and in `self.x` inside of a configuration, but not in its checks."""
    found = set()

    class Visitor(ast.NodeVisitor):
        def __init__(self):
            self.owners = {"config"}

        def visit_ClassDef(self, node):
            before, self.owners = self.owners, {"config", *(["self"] if node.name.endswith("Config") else [])}
            self.generic_visit(node)
            self.owners = before

        def visit_FunctionDef(self, node):
            if node.name != "__post_init__":
                self.generic_visit(node)

        def visit_Attribute(self, node):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", None)
            if name in self.owners:
                found.add(node.attr)
            self.generic_visit(node)

    for path in [*(REPOSITORY / "attngan").rglob("*.py"), *(REPOSITORY / "s2i").glob("train_*.py")]:
        Visitor().visit(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("config", [*CONFIGS.values(), ClassifierConfig, EmotionConfig])
def test_every_option_is_read(config):
    missing = {field.name for field in dataclasses.fields(config)} - fields_that_are_read()
    assert not missing, f"declared and never used: {sorted(missing)}"
