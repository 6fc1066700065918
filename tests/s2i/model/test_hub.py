import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.files import sha256
from s2i import SpeechToImage
from s2i.model import hub, model_folder
from tests.helpers import refused

ROOT = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def same(one, other):
    return (one.stages[-1] == other.stages[-1]).all()


@pytest.mark.parametrize("damsm", [True, False])
def test_what_is_saved_paints_the_same_from_the_same_bytes(talking, wav, tmp_path, damsm):
    if not damsm:
        (talking / "damsm.safetensors").unlink()
    paint = SpeechToImage.load(talking)
    names = ["damsm.safetensors"] * damsm + ["generator.safetensors", "model.json", "speech.safetensors"]
    assert [path.name for path in paint.save_pretrained(tmp_path / "saved")] == names
    again = SpeechToImage.from_pretrained(tmp_path / "saved", device="cpu")
    assert same(again(wav, seed=3), paint(wav, seed=3))
    for name in ("speech.safetensors", "generator.safetensors"):
        assert sha256(talking / name) == sha256(tmp_path / "saved" / name)
    if damsm:
        assert same(again(text="a red bird"), paint(text="a red bird"))


def test_weights_that_changed_are_those_that_are_saved(talking, wav, tmp_path):
    paint = SpeechToImage.load(talking)
    before = paint(wav)
    with torch.no_grad():
        paint.generator.heads[-1].bias += 0.5
        paint.encoder.to_sentence.bias += 0.5
    paint.save_pretrained(tmp_path / "saved")
    again = SpeechToImage.load(tmp_path / "saved")(wav)
    assert same(again, paint(wav))
    assert not same(again, before)


def test_a_model_of_two_networks_alone_is_saved(talking, wav, tmp_path):
    loaded = SpeechToImage.load(talking)
    bare = SpeechToImage(loaded.encoder, loaded.generator, torch.device("cpu"))
    assert bare(wav).origins == ()
    refused(lambda: bare(text="a red bird"), "not loaded from a folder")
    bare.save_pretrained(tmp_path / "saved")
    assert same(SpeechToImage.load(tmp_path / "saved")(wav), loaded(wav))


def test_the_shipped_model_is_the_default_and_is_saved_whole(tmp_path):
    SpeechToImage.from_pretrained().save_pretrained(tmp_path / "saved")
    saved = {str(path.relative_to(tmp_path / "saved")) for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    names = {"damsm.safetensors", "generator.safetensors", "speech.safetensors", "model.json"}
    assert saved == names | {f"recogniser/{name}" for name in ("captions.dict", "captions.lm.bin", "recogniser.json")}
    for name in names - {"model.json"}:
        assert sha256(ROOT / "pretrained" / name) == sha256(tmp_path / "saved" / name)


def test_a_model_without_speech_paints_words_and_says_what_it_lacks(talking, wav):
    (talking / "speech.safetensors").unlink()
    refused(lambda: SpeechToImage.load(talking), "speech.safetensors", "not found")
    model_folder.write_manifest(talking, {"generator.safetensors": {}, "damsm.safetensors": {}})
    paint = SpeechToImage.load(talking)
    assert len(paint(text="a red bird")) == 1
    refused(lambda: paint(wav), "hears nothing", "train_sen.sh")
    paint.save_pretrained(talking.parent / "saved")
    assert same(SpeechToImage.load(talking.parent / "saved")(text="a red bird"), paint(text="a red bird"))


@pytest.mark.parametrize("name", ["nowhere", "/no/where/at/all", "a b/c", "", "x/y/z", "../x"])
def test_a_name_that_is_none_is_refused(name):
    refused(lambda: SpeechToImage.from_pretrained(name), "OWNER/NAME")


def test_without_the_package_its_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused(lambda: hub.find_model("somebody/birds"), "pip install huggingface_hub")


def test_a_folder_that_cannot_be_written_is_refused(talking, tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(lambda: SpeechToImage.load(talking).save_pretrained(tmp_path / "file"), "cannot be written")


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub as fetching a public model asks for."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes] = {}  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        self.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/somebody/birds/tree/"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": COMMIT} for name, data in self.files.items()
            ]
            self.answer(200, json.dumps(tree).encode(), body)
        elif path.startswith("/api/models/somebody/birds"):
            siblings = [{"rfilename": name} for name in self.files]
            about = {"id": "somebody/birds", "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}
            self.answer(200, json.dumps(about).encode(), body)
        elif path.startswith(f"/somebody/birds/resolve/{COMMIT}/") and path.split("/", 5)[5] in self.files:
            self.answer(200, self.files[path.split("/", 5)[5]], body)
        else:
            self.answer(404, b'{"error": "Repository not found"}', body, {"X-Error-Code": "RepoNotFound"})

    def answer(self, code, data, body, headers=None):
        self.send_response(code)
        etag = f'"{hash(data) & 0xFFFFFFFF:x}"'
        for name, value in {"X-Repo-Commit": COMMIT, "ETag": etag, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_a_model_of_the_hub_is_fetched_once(talking, wav, tmp_path):
    pytest.importorskip("huggingface_hub")
    Hub.files = {path.name: path.read_bytes() for path in talking.iterdir()}
    Hub.files["baselines/other.safetensors"] = b"not wanted"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    code = """
import sys
from s2i import SpeechToImage
try:
    SpeechToImage.from_pretrained(sys.argv[1], device="cpu")(sys.argv[2], seed=3).save(sys.argv[3], "hub")
except ValueError as error:
    print(type(error).__name__, error)
"""

    def run(name):
        command = [sys.executable, "-c", code, name, str(wav), str(tmp_path / "out")]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)

    try:
        done = run("somebody/birds")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        paths = SpeechToImage.load(talking)(wav, seed=3).save(tmp_path / "own", "hub")
        fetched, own = (
            np.asarray(Image.open(folder / paths[-1].name)) for folder in (tmp_path / "out", tmp_path / "own")
        )
        assert (fetched == own).all()
        assert not any("other.safetensors" in asked for asked in Hub.asked)
        assert any(asked.endswith("speech.safetensors") for asked in Hub.asked)
        told = run("nobody/nothing").stdout
        assert told.startswith(
            "InputError nobody/nothing: no such folder, and not to be had from the Hugging Face Hub ("
        )
        assert told.count("\n") == 1
    finally:
        server.shutdown()
        server.server_close()
    assert run("somebody/fish").stdout.startswith("InputError somebody/fish: no such folder, and not to be had")
