"""The page of the shipped model, and the Chromium of this system, whose microphone hears a file."""

import os
import shutil
from collections import Counter
from types import SimpleNamespace

import pytest
import soundfile

from datasets import audio
from tests.s2i.app import asking

EXAMPLE = asking.ROOT / "pretrained" / "examples" / "yellow-with-black-crown.flac"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "no Chromium is installed; run: apt-get install chromium (or name it: CHROMIUM=/path/to/it)"
PATIENCE = 300  # seconds
SETTLED = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime)).map((one) => one.finished))"""


@pytest.fixture(scope="module")
def chromium():
    """Path of the browser."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(INSTALL)
    return found


@pytest.fixture(scope="module")  # its event loop runs until it ends, and other tests have event loops of their own
def playwright(chromium):
    package = "playwright.sync_api"
    api = pytest.importorskip(package, reason="playwright is not installed; run: pip install -r requirements.txt")
    with api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium, playwright, tmp_path_factory):
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    wave, rate = soundfile.read(EXAMPLE)
    soundfile.write(heard, wave, rate, subtype="PCM_16")
    options = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={heard}%noloop"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    running = playwright.chromium.launch(executable_path=chromium, args=[*options, *quiet, *sandbox, "--disable-gpu"])
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("scratch")
    with asking.no_way_out() as (environment, connections):
        process, address = asking.start(folder, asking.ROOT / "pretrained", **environment)
        yield SimpleNamespace(address=address, folder=folder, process=process)
        assert asking.end(process) == (0, "ended\n", "")
        assert connections() == 0
    assert list(folder.iterdir()) == []


@pytest.fixture
def open_page(server, browser):
    """Open the page as somebody new; in the end, nothing may have been asked of another machine or gone wrong."""
    contexts, asked, wrong, pardoned = [], Counter(), [], []

    def watch(page):
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)

    def open_one(*, width=1440, height=1000, microphone=True, pardon="nothing", **options):
        pardoned.append(pardon)
        context = browser.new_context(
            viewport={"width": width, "height": height}, permissions=["microphone"] if microphone else [], **options
        )
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE)
        context.on("request", lambda request: asked.update([request.url]))
        page = context.new_page()
        watch(page)
        page.goto(server.address)
        page.get_by_role("button", name="Paint", exact=True).wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert asked
    outside = [url for url in asked if not url.startswith((server.address, "data:", "blob:"))]
    assert outside == []
    assert [line for line in wrong if not any(words in line for words in pardoned)] == []


@pytest.fixture(scope="session")
def axe():
    """Look for defects of accessibility; gives what is serious, with the elements concerned."""
    package = pytest.importorskip("axe_playwright_python", reason="run: pip install -r requirements.txt")
    source = (asking.Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")

    def look(page):
        page.wait_for_timeout(100)
        page.evaluate(SETTLED)  # colours on their way are neither the old ones nor the new
        page.evaluate(f"() => {{ {source} }}")
        found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{defect['impact']} {defect['id']}: {[node['html'][:160] for node in defect['nodes'][:4]]}"
            for defect in found
            if defect["impact"] in ("serious", "critical")
        ]

    return look


@pytest.fixture
def heard():
    """The example that the microphone hears, as samples."""
    return audio.load(EXAMPLE)
