import os
import socket
import subprocess
import sys
import time

import pytest

from datasets.errors import InputError
from s2i.app import server
from s2i.app.config import AUTH_VARIABLE, AppConfig
from s2i.app.scratch import PREFIX
from tests.helpers import refused
from tests.s2i.app.asking import ROOT


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "0"], ["--port 0"]),
        (["--port", "99999"], ["--port 99999"]),
        (["--port", "many"], ["--port"]),
        (["--host", "0.0.0.0"], ["--host 0.0.0.0", "--auth-file"]),
        (["--auth", "me:secret", "--auth-file", "password"], ["--auth", "one of them"]),
        (["--auth-file", "nowhere"], ["--auth-file nowhere", "No such file"]),
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
    while not list(tmp_path.glob(f"{PREFIX}*")) and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    assert out.splitlines()[1:] == [b"ended"]
    assert list(tmp_path.iterdir()) == []


def test_loading_is_told_at_once(tmp_path):
    command, environment = [sys.executable, "-m", "s2i.app"], {**os.environ, "TMPDIR": str(tmp_path)}
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    helped = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, check=True)  # as long as that takes
    assert helped.stdout
    limit = 2 * (time.monotonic() - start)
    assert process.stdout.readline().startswith("loading: ")
    assert time.monotonic() - start < limit
    process.terminate()
    process.communicate(timeout=300)


def test_the_password_comes_from_one_of_three_places(tmp_path, monkeypatch):
    assert AppConfig().credentials() is None
    assert AppConfig(auth="me:a:b").credentials() == ("me", "a:b")
    path = tmp_path / "password"
    path.write_text("me:fïle\nmore\n", encoding="utf-8")
    assert AppConfig(auth_file=path, host="0.0.0.0").credentials() == ("me", "fïle")
    monkeypatch.setenv(AUTH_VARIABLE, "me:secret")
    assert AppConfig(host="0.0.0.0").credentials() == ("me", "secret")
    assert AppConfig(auth_file=path).credentials() == ("me", "fïle")


@pytest.mark.parametrize("content", [b"", b"\n", b"secret", b"secret:", b":secret", b"\xff:secret"])
def test_a_bad_password_file_is_refused_without_being_shown(tmp_path, content):
    path = tmp_path / "password"
    path.write_bytes(content)
    refused(AppConfig(auth_file=path).credentials, "--auth-file", path)
    with pytest.raises(InputError) as caught:
        AppConfig(auth_file=path).credentials()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, "http://localhost:7860"),
        ({"host": "::1"}, "http://[::1]:7860"),
        ({"host": "0.0.0.0", "auth": "a:b"}, f"http://{socket.gethostname()}:7860"),
        ({"name": "birds.example"}, "http://localhost:7860"),
    ],
)
def test_the_address_can_be_opened(options, address):
    assert AppConfig(**options).address == address
    assert AppConfig(name="birds.example").public_address == "https://birds.example"
