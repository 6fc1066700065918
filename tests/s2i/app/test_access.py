"""Pages with a password, and pages that die or have no room, each a process of its own."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is not installed; run: pip install -r requirements.txt")
import httpx

from s2i.app.config import AUTH_VARIABLE
from s2i.app.guard import CLIENT_GUESSES
from s2i.app.scratch import PREFIX
from tests.s2i.app import asking
from tests.s2i.app.asking import ROOT, ask, number_of, start

SECRET = "correct-horse"
ROUTES = (
    "gradio_api/heartbeat/x",
    "gradio_api/queue/data?session_hash=x",
    "gradio_api/info",
    "gradio_api/token",
    "config",
)
pytestmark = pytest.mark.xdist_group("page")


@pytest.fixture(scope="module")
def module_model(tmp_path_factory, build_talking):
    return build_talking(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, module_model):
    """A page that other computers can reach, with the password in a file."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "password").write_text(f"me:{SECRET}\n")
    process, address = start(folder, module_model, "--host", "0.0.0.0", "--auth-file", str(folder / "password"))
    yield process, address
    code, out, errors = asking.end(process)
    assert (code, out) == (0, "ended\n")
    assert errors.startswith("warning: other computers can reach this page")
    assert errors.count("\n") == 1


def sign_in(client, password):
    return client.post("/login", data={"username": "me", "password": password}).status_code


def test_nothing_is_served_before_the_password(guarded):
    process, address = guarded
    with httpx.Client(base_url=address, timeout=60) as client:
        assert [client.get(f"/{route}").status_code for route in ROUTES] == [401] * len(ROUTES)
        for path in ("cancel", "reset", "queue/join", "upload"):
            assert client.post(f"/gradio_api/{path}", json={}).status_code == 401
        assert client.get("/").status_code == 200  # which asks for the password
        assert sign_in(client, "wrong") == 400
        assert sign_in(client, SECRET) == 200
        assert client.get("/config").status_code == 200
        assert client.post("/gradio_api/reset", json={"event_id": "x"}).status_code == 200
        assert ask(client, number_of(client, "paint_text"), ["a red bird", 0], "in").error is None
    assert SECRET not in Path(f"/proc/{process.pid}/cmdline").read_text()


def test_programs_give_the_password(guarded):
    client = pytest.importorskip("gradio_client")
    api = client.Client(guarded[1], auth=("me", SECRET), verbose=False, analytics_enabled=False)
    assert len(api.predict("a small yellow bird", 0, api_name="/paint_text")) == 3


@pytest.mark.parametrize("origin", ["http://evil.example", "https://evil.example", "null"])
def test_no_origin_is_reflected(guarded, origin):
    with httpx.Client(base_url=guarded[1], timeout=60) as client:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answers = [client.get("/", headers=asked), client.options("/gradio_api/upload", headers=asked)]
        answers.append(client.post("/login", headers=asked, data={"username": "me", "password": SECRET}))
        for answer in answers:
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_other_names_are_not_answered(guarded):
    with httpx.Client(base_url=guarded[1], timeout=60) as client:
        for name in ("evil.example", "me@localhost", "localhost.evil.example", ""):
            assert client.get("/", headers={"Host": name}).status_code == 400
        assert client.get("/", headers={"Host": "192.168.0.7:7860"}).status_code == 200


def test_guesses_of_the_password_are_few(guarded):
    """Last, as nobody at this address can sign in for a minute after it."""
    with httpx.Client(base_url=guarded[1], timeout=60) as client, ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda number: sign_in(client, f"guess-{number}"), range(5 * CLIENT_GUESSES)))
        assert set(codes) == {400, 429}
        assert codes.count(400) <= CLIENT_GUESSES
        assert sign_in(client, SECRET) == 429


def test_the_password_may_be_in_the_environment_and_one_port_has_one_page(tmp_path, module_model):
    process, address = start(tmp_path, module_model, **{AUTH_VARIABLE: "me:secret"})
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/config").status_code == 401
            assert sign_in(client, "secret") == 200
            assert client.get("/config").status_code == 200
        port = address.rpartition(":")[2]
        taken = subprocess.run(
            [sys.executable, "-m", "s2i.app", "--port", port], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert taken.returncode == 2
        assert "choose another" in taken.stderr
        assert taken.stderr.count("\n") == 1
    finally:
        assert asking.end(process) == (0, "ended\n", "")


def test_the_recordings_of_a_killed_page_go_and_those_of_a_running_one_stay(tmp_path, module_model):
    killed, address = start(tmp_path, module_model)
    (tmp_path / "bird.wav").write_bytes(b"bird" * 99)
    with httpx.Client(base_url=address, timeout=60) as client:
        place = Path(asking.upload(client, tmp_path / "bird.wav"))
    running, address = start(tmp_path, module_model)
    try:
        assert place.is_file()
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        with httpx.Client(base_url=address, timeout=60) as client:
            other = Path(asking.upload(client, tmp_path / "bird.wav"))
        last, _ = start(tmp_path, module_model)
        assert asking.end(last)[0] == 0
        assert not place.exists()
        assert other.is_file()
    finally:
        assert asking.end(running)[0] == 0
    assert list(tmp_path.glob(f"{PREFIX}*")) == []


def full_disk(folder):
    """The command before a page whose `folder` is a disk of 2 MB of its own, if this system lets us make one."""
    before = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=2m none {folder}"
    try:
        subprocess.run([*before, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk of one's own can be mounted here: unshare --map-root-user --mount")
    return [*before, f'{mount} && exec "$@"', "sh"]


def test_a_full_disk_is_told_in_one_line(tmp_path, module_model, small):
    folder = tmp_path / "disk"
    folder.mkdir()
    process, address = start(folder, module_model, before=full_disk(folder))
    try:
        inside = Path(f"/proc/{process.pid}/root{folder}")
        with httpx.Client(base_url=address, timeout=120) as client:
            (tmp_path / "large.wav").write_bytes(os.urandom(3 * 2**20))
            with open(tmp_path / "large.wav", "rb") as file:
                answer = client.post("/gradio_api/upload", files={"files": file})
            assert answer.status_code == 507
            assert "free some space" in answer.text
            assert "\n" not in answer.text
            assert str(folder) not in answer.text
            with open(inside / "filling", "wb", buffering=0) as filling:
                with suppress(OSError):
                    while filling.write(b"x" * 1000):
                        pass
            answer = ask(client, number_of(client, "paint_text"), ["a red bird", 0], "full")
            assert "free some space" in answer.error
            assert str(folder) not in answer.error
            (inside / "filling").unlink()
            assert ask(client, number_of(client, "paint_text"), ["a red bird", 0], "free").error is None
    finally:
        asking.end(process)
