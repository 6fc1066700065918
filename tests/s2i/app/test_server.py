"""The page as programs see it, with a small model: a process of its own, asked over the loopback address."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile
import torch
from PIL import Image

pytest.importorskip("gradio", reason="gradio is not installed; run: pip install -r requirements.txt")
import httpx

from datasets import audio
from s2i.app.guard import CLIENT_BYTES, MAX_BYTES
from tests.s2i.app import asking
from tests.s2i.app.asking import ROOT, ask, file_data, number_of, start

SECRET = "nobody-should-read-this"
pytestmark = pytest.mark.xdist_group("page")  # whose tests share one process


@pytest.fixture(scope="module")
def server(tmp_path_factory, module_model):
    folder = tmp_path_factory.mktemp("scratch")
    (folder / "secret.txt").write_text(SECRET)
    with asking.no_way_out() as (environment, connections):
        process, address = start(folder, module_model, **environment)
        with httpx.Client(base_url=address, timeout=120) as client:
            yield SimpleNamespace(client=client, folder=folder, address=address, process=process, model=module_model)
        assert asking.end(process)[:2] == (0, "ended\n")  # on the console, gradio tells of requests that it refused
        assert connections() == 0
    assert [path.name for path in folder.iterdir()] == ["secret.txt"]


@pytest.fixture(scope="module")
def module_model(tmp_path_factory, build_talking):
    return build_talking(tmp_path_factory.mktemp("model"))


@pytest.fixture
def recording(tmp_path, small):
    path = tmp_path / "bird.wav"
    soundfile.write(path, small.hum(300), 16_000)
    return path


def upload(server, path):
    return asking.upload(server.client, path)


def paint(server, path, **more):
    given = file_data(path, **more)
    return ask(server.client, number_of(server.client, "paint"), [given, 0], f"test-{time.monotonic_ns()}")


def pixels(server, answer):
    """The bytes of the largest picture of an answer."""
    return server.client.get(f"/gradio_api/file={answer.data[0][-1]['path']}").content


def get_as_it_is(server, target):
    """(status, body) of a path that no client has tidied up."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    return int(answer.split(maxsplit=2)[1]), answer


def files(server):
    return {path for path in server.folder.rglob("*") if path.is_file()}


def test_a_recording_becomes_three_pictures_and_is_removed(server, recording):
    place = upload(server, recording)
    assert Path(place).is_file()
    answer = paint(server, place)
    assert answer.error is None
    pictures = answer.data[0]
    assert len(pictures) == 3
    assert not Path(place).exists()
    for picture in pictures:
        assert server.client.get(f"/gradio_api/file={picture['path']}").content.startswith(b"\x89PNG")


def test_the_three_lines_of_the_page_work_and_give_png_files(server, recording):
    client = pytest.importorskip("gradio_client")
    api = client.Client(server.address, verbose=False, analytics_enabled=False)
    for given, name in ((client.handle_file(str(recording)), "/paint"), ("a small yellow bird", "/paint_text")):
        pictures = [Image.open(path, formats=["PNG"]) for path in api.predict(given, 0, api_name=name)]
        assert [picture.size for picture in pictures] == [(8, 8), (16, 16), (32, 32)]


def test_what_holds_no_speech_is_told_and_painted_by_force(server, tmp_path):
    path = tmp_path / "hum.wav"
    soundfile.write(path, 0.5 * torch.sin(2 * torch.pi * 100 * torch.arange(32_000) / 16_000).numpy(), 16_000)
    assert "holds no speech" in paint(server, upload(server, path)).error
    client = pytest.importorskip("gradio_client")
    api = client.Client(server.address, verbose=False, analytics_enabled=False)
    assert len(api.predict(client.handle_file(str(path)), 0, api_name="/paint_sound")) == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"a blue bird\n" * 99, "text file"),
        (bytes(range(200, 256)) * 99, "not a recording"),
        (b"RIFF\x00\x00", "header"),
        (b"\x00\x00\x00\x20ftypM4A " + b"\x00" * 400, "cut off"),
    ],
)
def test_bad_recordings_get_a_message_without_a_path(server, tmp_path, data, words):
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    answer = paint(server, upload(server, path))
    assert words in answer.error.lower()
    assert answer.error.startswith("Bad.wav: ")
    assert str(server.folder) not in answer.error
    assert server.client.get("/").status_code == 200


@pytest.mark.parametrize("text", ["", "x" * 10_000, "жёлтая птица", "<script>alert(1)</script>"])
def test_bad_text_gets_a_message(server, text):
    answer = ask(server.client, number_of(server.client, "paint_text"), [text, 0], "text")
    assert answer.error.startswith("Text: ")


@pytest.mark.parametrize("seed", [-1, 1.5, 10**12, None, "many", [1]])
def test_bad_seeds_get_an_error_and_the_page_lives(server, seed):
    answer = ask(server.client, number_of(server.client, "paint_text"), ["a red bird", seed], "seed")
    assert answer.error is not None or answer.data is None
    assert server.client.get("/").status_code == 200


def test_nothing_outside_the_folder_can_be_read(server, recording):
    place = upload(server, recording)
    secret = server.folder / "secret.txt"
    scratch = Path(place).parents[1]
    outside = [secret, "/etc/passwd", f"{scratch}/../secret.txt", f"{place}/../../../secret.txt", ROOT / "README.md"]
    routes = ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "svelte/", "gradio_api/proxy=")
    for path in map(str, outside):
        answer = paint(server, path)
        assert answer.error is not None
        assert SECRET not in answer.error
        for form in (path, path.replace("/", "%2f"), path.replace("..", "%2e%2e"), f"..{path}", f"../../..{path}"):
            for route in routes:
                code, body = get_as_it_is(server, f"/{route}{form}")
                assert code in (400, 403, 404), (route, form)
                assert SECRET.encode() not in body
                assert b"root:" not in body
    made = server.client.post("/gradio_api/upload", files={"files": ("../../../evil.wav", b"x" * 300)}).json()[0]
    assert Path(made).resolve().is_relative_to(scratch)
    assert not list(server.folder.glob("evil*"))


def test_no_field_of_any_function_reads_a_file_outside(server):
    functions = [f for f in server.client.get("/config").json()["dependencies"] if f["backend_fn"]]
    assert len(functions) >= 12
    paths = [str(server.folder / "secret.txt"), f"{ROOT}/pretrained/../requirements.txt"]
    for function in functions:
        for path in paths:
            for given in (path, file_data(path), [file_data(path)]):
                ask(server.client, function["id"], [given] * len(function["inputs"]), f"field-{time.monotonic_ns()}")
    copies = [path for path in files(server) if SECRET.encode() in path.read_bytes() or path.name == "requirements.txt"]
    assert [path.name for path in copies] == ["secret.txt"]


def test_addresses_are_not_fetched(server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(1)
        url = f"http://127.0.0.1:{other.getsockname()[1]}/a.wav"
        assert paint(server, url, url=url).error is not None
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_large_upload_is_refused_before_it_is_read(server):
    host, port = server.address.removeprefix("http://").split(":")
    before = files(server)
    with socket.create_connection((host, int(port)), timeout=60) as line:
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: {100 * 2**20}\r\n"
        line.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode())
        assert b" 413 " in line.recv(4096)
    assert files(server) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another page of this machine
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_of_other_sites_cannot_ask(server, recording, headers):
    before = files(server)
    for path, more in (("upload", {"files": {"files": recording.open("rb")}}), ("queue/join", {"json": {}})):
        answer = server.client.post(f"/gradio_api/{path}", headers=headers, **more)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    asked = {**headers, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in server.client.options("/gradio_api/upload", headers=asked).headers
    assert files(server) == before


def test_the_page_itself_can_ask(server, recording):
    for host in ("127.0.0.1", "localhost"):
        host = f"{host}:{server.address.rpartition(':')[2]}"
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        with open(recording, "rb") as file:
            assert server.client.post("/gradio_api/upload", headers=headers, files={"files": file}).status_code == 200


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "X-Gradio-Server"])
def test_other_names_are_neither_answered_nor_echoed(server, header):
    name = "http://evil.example" if header == "X-Gradio-Server" else "evil.example"
    for path in ("/", "/config", "/gradio_api/info"):
        answer = server.client.get(path, headers={header: name})
        assert answer.status_code == (200 if header == "X-Gradio-Server" else 400)
        assert "evil" not in answer.text


def test_the_address_is_that_of_the_readme(server):
    assert server.process.address == server.address.replace("127.0.0.1", "localhost")
    assert "http://localhost:7860" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_page_names_no_other_host(server):
    page = server.client.get("/")
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](https?:)?//[^"']+""", page.text)
    assert loaded == []
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "fonts.googleapis.com" not in server.client.get("/theme.css").text


def test_many_at_once_are_told_their_place_and_all_are_served(server):
    function = number_of(server.client, "paint_text")
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, server.client, function, ["a red bird", k], f"many-{k}") for k in range(20)]
        answers = [one.result() for one in asked]
    assert all(answer.error is None and len(answer.data[0]) == 3 for answer in answers)
    assert max(place for answer in answers for place in answer.places) >= 5


def test_two_people_never_see_each_others_recordings(server, recording, small, tmp_path):
    soundfile.write(tmp_path / "other.wav", small.hum(900), audio.SAMPLE_RATE)
    places = [upload(server, path) for path in (recording, tmp_path / "other.wav", recording)]
    assert len({Path(place).parent for place in places}) == 3  # equal recordings have places of their own, too
    assert all(re.fullmatch(r"[0-9a-f]{64}", Path(place).parent.name) for place in places)  # which nobody guesses
    for path in (Path(places[0]).parent, Path(places[0]).parents[1]):
        assert server.client.get(f"/gradio_api/file={path}").status_code in (403, 404)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda place: pixels(server, paint(server, place)), places))
    alone = [pixels(server, paint(server, upload(server, path))) for path in (recording, tmp_path / "other.wav")]
    assert together == [alone[0], alone[1], alone[0]]
    assert alone[0] != alone[1]
    everything = server.client.get("/config").text
    assert not any(Path(place).parent.name in everything for place in places)


def test_uploads_have_a_quota(server, tmp_path):
    """Last of all but one, as nobody at this address can upload after it."""
    path = tmp_path / "large.wav"
    with open(path, "wb") as file:
        file.truncate(MAX_BYTES)
    codes = []
    while 429 not in codes:
        with open(path, "rb") as file:
            answer = server.client.post("/gradio_api/upload", files={"files": file})
        codes.append(answer.status_code)
        assert len(codes) <= CLIENT_BYTES // MAX_BYTES + 1
    assert set(codes[:-1]) <= {200}
    assert "too many recordings" in answer.text
    assert 0 < int(answer.headers["retry-after"]) <= 600
    assert sum(path.stat().st_size for path in files(server)) <= CLIENT_BYTES + 50 * 2**20
