import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import tyro

from datasets import cli
from datasets.errors import InputError


@dataclass(frozen=True)
class Job:
    """A job."""

    corpus: Path = Path("data/x.h5")
    """What it reads."""
    rate: float = 0.5
    """How fast."""
    steps: int = 10
    """How long."""
    widths: tuple[int, ...] = (8, 16)
    """How wide."""
    span: tuple[float, float] = (0.0, 1.0)
    """From where to where."""
    noisy: bool = False
    """How loud."""
    quiet_end: bool = True
    """How it ends."""
    table: Path | None = None
    """What else it reads."""

    def __post_init__(self):
        cli.check_range("rate", self.rate, 0, 1)
        cli.check_range("steps", self.steps, 1)
        if self.table is not None:
            raise InputError(f"--table {self.table}: {'very ' * 40}long")


PRESETS = {"usual": Job(), "tiny": Job(steps=2, widths=(4,))}


def parse(*arguments):
    return cli.parse(Job, PRESETS, list(arguments), description="Do the job.")


def test_presets_and_overrides():
    assert parse() == PRESETS["usual"]
    assert parse("--preset", "tiny") == parse("--preset=tiny") == PRESETS["tiny"]
    assert parse("--rate", "1", "--preset", "tiny", "--widths", "1", "2", "3") == Job(
        rate=1.0, steps=2, widths=(1, 2, 3)
    )
    assert parse("--corpus=a b.h5").corpus == Path("a b.h5")


def test_flags_are_said_or_denied():
    assert parse("--noisy") == Job(noisy=True)
    assert parse("--no-quiet-end", "--noisy", "--no-noisy") == Job(quiet_end=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "huge"], "--preset huge: no such preset; choose one of usual, tiny"),
        (["--preset"], "--preset: needs a value"),
        (["--rat", "1"], "--rat: no such option; did you mean --rate? See --help"),
        (["--qqq=1"], "--qqq=1: no such option; see --help for those there are"),
        (["word"], "word: no such option; see --help for those there are"),
        (["--noisy=False"], "False: no such option; see --help for those there are"),
        (["--steps", "abc"], "--steps abc: give a whole number; see --help"),
        (["--noisy", "--rate", "1", "--steps=1.5"], "--steps=1.5: give a whole number; see --help"),
        (["--rate", "half"], "--rate half: give a number; see --help"),
        (["--steps"], "--steps: needs a value; see --help"),
        (["--widths", "1", "x"], "--widths 1 x: give whole numbers; see --help"),
        (["--span", "1"], "--span 1: give 2 numbers; see --help"),
        (["--steps", "0"], "--steps 0: out of range; give a value at least 1"),
        (["--rate", "nan"], "--rate nan: out of range; give a value from 0 to 1"),
        (["--table", "x.csv"], f"--table x.csv: {'very ' * 40}long"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    with pytest.raises(InputError) as caught:
        parse(*arguments)
    assert str(caught.value) == message
    assert capsys.readouterr() == ("", "")


def test_dry_run_prints_all_of_the_configuration(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--dry-run", "--steps", "3")
    assert caught.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        **{"corpus": "data/x.h5", "rate": 0.5, "steps": 3, "widths": [8, 16], "span": [0.0, 1.0]},
        **{"noisy": False, "quiet_end": True, "table": None},
    }
    assert list(printed) == [field.name for field in dataclasses.fields(Job)]


def test_dry_run_still_checks(capsys):
    with pytest.raises(InputError, match="--steps 0"):
        parse("--dry-run", "--steps", "0")
    assert capsys.readouterr().out == ""


def test_help_explains_each_option_with_its_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    with pytest.raises(SystemExit) as caught:
        parse("--help", "--preset", "tiny")
    assert not caught.value.code
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Do the job." in text
    assert "--preset {usual,tiny}" in text
    assert "--dry-run" in text
    for option, meaning, default in (
        ("--corpus", "What it reads.", "data/x.h5"),
        ("--rate", "How fast.", "0.5"),
        ("--steps", "How long.", "2"),
        ("--widths", "How wide.", "4"),
        ("--noisy, --no-noisy", "How loud.", "False"),
        ("--quiet-end, --no-quiet-end", "How it ends.", "True"),
    ):
        after = text.partition(option)[2]
        assert after.index(meaning) < after.index(f"(default: {default})") < 200, option


def test_check_choice():
    cli.check_choice("split_kind", "a", ("a", "b"))
    with pytest.raises(InputError, match=r"^--split-kind c: unknown; choose one of a, b$"):
        cli.check_choice("split_kind", "c", ("a", "b"))


@pytest.mark.parametrize(
    ("outcome", "code", "line"),
    [
        (InputError("x.wav: is\n  silent"), 2, "error: x.wav: is silent\n"),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on from the last checkpoint\n"),
        (None, 0, ""),
        (3, 3, ""),
    ],
)
def test_run_turns_outcomes_into_exit_codes(outcome, code, line, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command", "--a", "b"])

    def main(arguments):
        assert arguments == ["--a", "b"]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with pytest.raises(SystemExit) as caught:
        cli.run(main)
    assert caught.value.code == code
    assert capsys.readouterr().err == line


def test_output_may_be_cut_short_by_its_reader():
    code = "from datasets import cli\ncli.run(lambda a: print('line\\n' * 100_000))"
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{code}" | head -n 1'], capture_output=True, text=True, check=False
    )
    assert done.stdout == "line\n"
    assert done.stderr == ""


def test_repository_is_where_the_packages_are():
    assert (cli.repository() / "datasets/cli.py").is_file()
    assert (cli.repository() / "pyproject.toml").is_file()


@dataclass(frozen=True)
class Tool:
    """A tool."""

    inputs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """What it reads."""
    output: Path = Path("outputs")
    """Where it writes."""
    samples: int = 1
    """How many."""
    loud: bool = False
    """How loud."""


def test_a_tool_takes_its_values_before_and_after_options():
    expected = Tool(inputs=(Path("a.wav"), Path("b.wav")), output=Path("x"), samples=2, loud=True)
    for arguments in ("a.wav b.wav --output x --samples 2 --loud", "--loud a.wav --samples=2 b.wav --output x"):
        assert cli.parse_tool(Tool, arguments.split(), description="Use it.") == expected
    with pytest.raises(InputError, match="--sample: no such option; did you mean --samples"):
        cli.parse_tool(Tool, ["a.wav", "--sample", "2"], description="Use it.")
    with pytest.raises(InputError, match="--samples"):
        cli.parse_tool(Tool, ["a.wav", "--samples"], description="Use it.")


def test_a_tool_prints_its_configuration_and_does_no_more(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.parse_tool(Tool, ["--dry-run", "a.wav", "--samples", "3"], description="Use it.")
    assert caught.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"inputs": ["a.wav"], "output": "outputs", "samples": 3, "loud": False}


def test_relative_defaults_are_meant_from_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(cli.repository())
    assert parse() == PRESETS["usual"]
    monkeypatch.chdir(tmp_path)
    assert parse().corpus == cli.repository() / "data/x.h5"
    assert parse("--corpus", "mine.h5").corpus == Path("mine.h5")
    assert json.loads(cli.as_json(parse()))["corpus"] == "data/x.h5"


def command(body, *, stdout=None, **variables):
    """Run a `main` of this body as a command."""
    code = f"from datasets import cli\ndef main(arguments):\n    {body}\ncli.run(main)"
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), **variables}
    options = {"stdout": stdout or subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False, text=True, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("from pathlib import Path; Path('x' * 300).is_file()", "x: cannot be used (File name too long); check the"),
        ("import os; raise OSError(5, os.strerror(5), 'a.h5')", "a.h5: cannot be used (Input/output error); check the"),
        ("raise OSError('Could not load this library: x.so')", "a library: cannot be used (Could not load this"),
        (
            "import h5py.x.y",
            "h5py: is not installed; this needs it: install the extra [train]",
        ),
        ("raise MemoryError", "memory: there is not enough; end other programs, or give less at a time"),
    ],
)
def test_what_the_machine_refuses_is_one_line(body, words):
    done = command(body)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.slow
def test_a_name_that_the_terminal_cannot_show_is_printed_all_the_same():
    done = command(r"print('v\xf6gel \u9e1f \udcff.png')", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, "v\\xf6gel \\u9e1f \\udcff.png\n", "")


@pytest.mark.slow
def test_an_output_that_is_full_is_one_line():
    with open("/dev/full", "w") as full:
        done = command("print('bird')", stdout=full)
    assert done.returncode == 2
    assert done.stderr == "error: a file: cannot be used (No space left on device); check the name and the disk\n"
