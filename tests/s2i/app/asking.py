"""A page of its own to test, and asking it as browsers and programs do, over the loopback address."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
SLOWEST = 600  # seconds


@dataclass
class Answer:
    """What came of one request: places in the queue that were told, what was given in the end, and the error if any."""

    places: list[int] = field(default_factory=list)
    partial: list = field(default_factory=list)
    data: list | None = None
    error: str | None = None
    seconds: float = 0.0


def start(folder, model, *options, before=(), **environment):
    """(process, address) of a page of `model` whose temporary files lie in `folder`; `before` is what runs it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*before, sys.executable, "-m", "s2i.app", "--port", str(port), "--model", str(model), *options]
    environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", **environment}
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (a pipe that nobody reads would stop the process once full)
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
    )
    process.errors = errors
    lines = [line_of(process), line_of(process)]
    if not (lines[0].startswith("loading: ") and lines[1].startswith("ready: ")):
        process.kill()
        raise AssertionError(f"{lines}{end(process)}")
    process.address = lines[1].split()[1]
    return process, f"http://127.0.0.1:{port}"


def line_of(process):
    """The next line that a page writes, or nothing if it takes too long."""
    ready, _, _ = select.select([process.stdout], [], [], SLOWEST)
    return process.stdout.readline() if ready else ""


def end(process):
    """End a page as a system does; gives (exit code, what it wrote since it was ready, what it complained of)."""
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=SLOWEST)
    process.errors.seek(0)
    return process.returncode, out, process.errors.read()


@contextmanager
def no_way_out():
    """(environment, connections): programs that want to leave this machine by HTTP are led here, and counted."""
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.setblocking(False)
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        address = f"http://127.0.0.1:{trap.getsockname()[1]}"
        led = {name: address for upper in names for name in (upper, upper.lower())}

        def count():
            found = 0
            while True:
                try:
                    trap.accept()
                except BlockingIOError:
                    return found
                found += 1

        yield led, count


def number_of(client, name):
    """Number of the page's function called `name`."""
    return next(f["id"] for f in client.get("/config").json()["dependencies"] if f["api_name"] == name)


def ask(client, function, data, session):
    """Call a function of the page as a browser does."""
    answer, begun = Answer(), time.monotonic()
    question = {"data": data, "fn_index": function, "session_hash": session, "event_data": None, "trigger_id": None}
    joined = client.post("/gradio_api/queue/join", json=question)
    if joined.status_code != 200:
        answer.error = f"{joined.status_code} {joined.text}"
        return answer
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}, timeout=SLOWEST) as lines:
        for line in lines.iter_lines():
            if not line.startswith("data:"):
                continue
            told = json.loads(line[5:])
            if told["msg"] == "estimation":
                answer.places.append(told["rank"])
            elif told["msg"] == "process_generating":
                answer.partial.append(told["output"]["data"])
            elif told["msg"] == "process_completed":
                output = told["output"]
                answer.data, answer.error = output.get("data"), None if told["success"] else str(output.get("error"))
                break
    answer.seconds = time.monotonic() - begun
    return answer


def upload(client, path, name=None):
    """Where the page keeps a copy of the file `path`."""
    with open(path, "rb") as file:
        sent = client.post("/gradio_api/upload", files={"files": (name or Path(path).name, file)})
    assert sent.status_code == 200, sent.text
    return sent.json()[0]


def file_data(place, **more):
    """An uploaded file as the page's functions take it."""
    return {"path": place, "meta": {"_type": "gradio.FileData"}, **more}


def memory(process):
    """Resident memory of the process with that number, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
