import os
import subprocess
import sys
import tempfile
import time

import pytest

from datasets.errors import InputError
from s2i.app import server
from tests.s2i.app.asking import ROOT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], ["--port 0"]),
        (["--port", "99999"], ["--port 99999"]),
        (["--port", "many"], ["--port"]),
        (["--host", "0.0.0.0"], ["--host 0.0.0.0", "--auth"]),
        (["--auth", "me"], ["--auth", "USER:PASSWORD"]),
        (["--auth", ":secret"], ["--auth"]),
        (["--share"], ["--share"]),
    ],
)
def test_bad_options_are_refused_in_one_line(arguments, words):
    with pytest.raises(InputError) as caught:
        server.main(arguments)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_model_is_told_before_anything_listens(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        server.main(["--model", str(tmp_path / "nowhere")])


def test_the_scratch_folder_is_private_and_goes_and_so_do_those_of_killed_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    left, alive = tmp_path / f"{server.PREFIX}{done.stdout.strip()}-x", tmp_path / f"{server.PREFIX}{os.getppid()}-x"
    for folder in (left, alive, tmp_path / "other"):
        folder.mkdir()
        (folder / "recording.wav").touch()
    with server.scratch() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert tempfile.gettempdir() == str(folder)
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert tempfile.gettempdir() == str(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, "other"])


def test_help_does_not_wait_for_torch_or_gradio():
    command = [sys.executable, "-X", "importtime", "-m", "s2i.app", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    for word in ("--port", "--host", "--auth", "--model", "127.0.0.1"):
        assert word in done.stdout
    assert " torch\n" not in done.stderr
    assert " gradio\n" not in done.stderr


def test_sigterm_ends_it_cleanly_while_it_still_starts(tmp_path):
    command, environment = [sys.executable, "-m", "s2i.app"], {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(tmp_path.glob(f"{server.PREFIX}*")) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (0, b"ended\n", b"")
    assert list(tmp_path.iterdir()) == []
