import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from attngan.training import classifier_config
from datasets import cli, prepare, saved_config
from s2i import train_baselines, train_damsm, train_emotion, train_gan, train_sen
from s2i.evaluation import evaluate_config
from tests.helpers import refused

KINDS = {
    "damsm": train_damsm.PRESETS,
    "sen": train_sen.PRESETS,
    "gan": train_gan.PRESETS,
    "classifier": classifier_config.PRESETS,
    "baselines": train_baselines.PRESETS,
    "emotion": train_emotion.PRESETS,
    "prepare": prepare.PRESETS,
}
CASES = [(kind, name) for kind, presets in KINDS.items() for name in presets]


@dataclass(frozen=True)
class Example:
    width: int = 3
    share: float = 0.5
    place: Path | None = None
    pair: tuple[int, int] = (1, 2)
    many: tuple[str, ...] = ()
    flag: bool = False

    renamed: ClassVar[dict[str, str]] = {"breadth": "width"}

    def __post_init__(self):
        cli.check_range("width", self.width, 1, 9)


def parse(*arguments):
    return cli.parse(Example, {"plain": Example()}, list(arguments), description="")


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_preset_of_every_training_is_read_as_it_was_written(kind, name, tmp_path):
    wanted = KINDS[kind][name]
    (tmp_path / "config.json").write_text(cli.as_json(wanted))
    assert saved_config.load(tmp_path / "config.json", type(wanted)) == wanted


def test_options_override_what_the_file_tells(tmp_path):
    saved = Example(width=5, share=1, place=Path("/a/b"), pair=(3, 4), many=("x", "y"), flag=True)
    path = tmp_path / "config.json"
    path.write_text(cli.as_json(saved))
    assert parse("--config", str(path)) == saved
    assert parse(f"--config={path}", "--width", "7") == Example(7, 1.0, Path("/a/b"), (3, 4), ("x", "y"), True)
    path.write_text('{"breadth": 8}')
    assert parse("--config", str(path)) == Example(width=8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("[1]", "damaged"),
        ("{}", "holds no options"),
        ('{"height": 3}', "'height' is no option"),
        ('{"width": 3.5}', "width is '3.5', should be int"),
        ('{"width": true}', "should be int"),
        ('{"width": null}', "should be int"),
        ('{"width": 12}', "--width 12"),
        ('{"share": "much"}', "should be float"),
        ('{"pair": [1, 2, 3]}', "a list of 2"),
        ('{"pair": 7}', "should be a list"),
        ('{"many": [1]}', "should be str"),
        ('{"flag": 1}', "should be bool"),
        ('{"place": 5}', "place is '5'"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "config.json"
    path.write_text(text)
    refused(lambda: parse("--config", str(path)), path, words)


def test_a_missing_file_and_a_preset_beside_it_are_refused(tmp_path):
    refused(lambda: parse("--config", str(tmp_path / "none.json")), "none.json", "not found")
    refused(lambda: parse("--config"), "--config", "needs a value")
    refused(lambda: parse("--config", "a.json", "--preset", "plain"), "leave out --preset")
    evaluation = tmp_path / "config.json"
    evaluation.write_text(cli.as_json(evaluate_config.EvaluateConfig()))
    refused(lambda: saved_config.load(evaluation, train_sen.SenConfig), evaluation, "is no option")


@pytest.mark.slow
def test_a_run_is_repeated_from_its_configuration(tmp_path):
    """Two runs of the classifier on drawn birds, the second from config.json of the first, to the same losses."""

    def train(*arguments):
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr

    corpus = tmp_path / "birds.h5"
    train("datasets.prepare", "--preset", "tiny", "--output", str(corpus), "--drawn-pictures", "60", "--workers", "1",
          "--recordings-per-picture", "0", "--measuring-recordings-per-picture", "0")  # fmt: skip
    options = ["--preset", "tiny", "--corpus", str(corpus), "--pictures", "64", "--log-every", "16", "--seed", "4"]
    train("s2i.train_classifier", *options, "--run", str(tmp_path / "one"))
    again = ["--config", str(tmp_path / "one" / "config.json"), "--run", str(tmp_path / "other")]
    train("s2i.train_classifier", *again)
    one, other = (tmp_path / name / "stats.jsonl" for name in ("one", "other"))
    assert one.read_text() == other.read_text()
    assert len(one.read_text().splitlines()) >= 4
    assert json.loads((tmp_path / "other" / "config.json").read_text())["seed"] == 4
