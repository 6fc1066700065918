"""The page as people use it: the shipped model, in a real browser, with a microphone that hears a file."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2i.model.whisper import packaged_folder
from tests.s2i.app.asking import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]  # one Chromium, and one page, at a time
PAINTED = ".viewer[data-stages='4']"
SIDES = [64, 128, 256, 512]


def resolutions(page):
    """Of the pictures of the stages, once all are painted."""
    page.locator(PAINTED).wait_for()
    return page.locator(".v-stage img").evaluate_all("images => images.map(image => image.naturalWidth)")


def fits(page):
    """Whether nothing sticks out to the right."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def told(page, words, where="#status"):
    """Wait until the page says `words`, and give all that it says there."""
    line = page.locator(f"{where} .status").filter(has_text=words)
    line.wait_for()
    return line.inner_text()


def type_and_paint(page, text):
    page.get_by_role("tab", name="Type").click()
    page.get_by_label("A description in English").fill(text)
    page.get_by_role("button", name="Paint the words").click()


def pick(page, tab):
    page.get_by_role("tab", name=tab).click()
    page.get_by_role("tab", name=tab, selected=True).wait_for()


def pixels(page):
    return page.locator(".v-canvas").evaluate("canvas => canvas.toDataURL()")


def test_a_recording_becomes_four_pictures_and_every_segment_shows_its_region(open_page, axe):
    page = open_page()
    assert axe(page) == []
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(4000)
    page.get_by_role("button", name="Stop", exact=True).click()
    assert resolutions(page) == SIDES
    assert "yellow" in told(page, "understood")  # the recogniser heard what the microphone did
    assert axe(page) == []
    plain, slider, caption = pixels(page), page.get_by_label("Segment", exact=True), page.locator(".v-caption")
    slider.focus()
    seen = set()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.add((pixels(page), caption.inner_text()))
    assert len(seen) == 3
    assert plain not in {picture for picture, _ in seen}
    shares = re.compile(r"\d\.\d\d to \d\.\d\d s.* has (\d+|less than 1) % of the attention at 512 px")
    assert all(shares.search(text) for _, text in seen), seen
    page.get_by_role("button", name="Play segment").click()
    page.locator(".viewer[data-played]").wait_for()
    page.get_by_role("button", name="Show the 128 px picture").click()
    assert "at 128 px" in caption.inner_text()
    page.get_by_role("button", name="Show the 64 px picture").click()
    assert "whole recording" in caption.inner_text()
    page.locator(".v-mel").hover(position={"x": 150, "y": 40})
    assert "at 512 px" in caption.inner_text()
    page.locator(".v-canvas").hover(position={"x": 150, "y": 150})
    assert "listened most to" in caption.inner_text()
    page.get_by_role("button", name="Map of all").click()
    assert pixels(page) not in {plain, *(picture for picture, _ in seen)}
    assert axe(page) == []


def test_words_become_four_pictures_and_unknown_ones_are_told(open_page, axe):
    page = open_page()
    type_and_paint(page, "a tiny blue bird with a qzxy beak")
    assert resolutions(page) == SIDES
    assert "qzxy" in told(page, "does not know")
    page.locator(".v-word").filter(has_text="blue").hover()
    assert "“blue” has" in page.locator(".v-caption").inner_text()
    assert axe(page) == []
    type_and_paint(page, "жёлтая птица")
    assert "English" in told(page, "жёлтая")
    type_and_paint(page, "x" * 10_000)
    assert "10,000" in told(page, "characters")
    type_and_paint(page, "")
    told(page, "is empty")


def test_one_recording_is_painted_in_every_way(open_page, axe):
    page = open_page()
    page.get_by_role("button", name="yellow with black crown").click()
    told(page, "understood")
    pick(page, "Compare")
    page.get_by_label("What was really said").fill("a small yellow bird with a black crown and black wings")
    page.get_by_role("button", name="Compare the ways").click()
    told(page, "The same noise", "#compared-status")
    whisper = ["Transcribed by Whisper"] if packaged_folder() else []
    cards = page.locator(".cards.four .card" if whisper else ".cards.three .card")
    assert cards.locator("h3").all_inner_texts() == ["Direct", "Transcribed", *whisper, "Typed"]
    count = 3 + len(whisper)
    assert cards.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)") == [512] * count
    assert all(re.search(r"rank \d+ of 100", text) for text in cards.all_inner_texts())
    assert axe(page) == []
    pick(page, "Explore")
    page.get_by_label("Second sentence", exact=True).fill("this bird has a red head and black wings")
    page.get_by_role("button", name="Morph", exact=True).click()
    told(page, "red head", "#morph-status")
    assert page.locator(".cards.seven img").count() == 7
    assert axe(page) == []


def test_what_is_downloaded_is_painted_again_bit_for_bit(open_page, tmp_path):
    page = open_page()
    page.get_by_role("button", name="blue all over").click()
    assert resolutions(page) == SIDES
    told(page, "understood")
    pick(page, "Download")
    page.get_by_role("button", name="Prepare the files").click()
    told(page, "scripts/generate.sh --replay", "#files-status")
    for link in page.locator("#files a[download]").all():
        address = link.get_attribute("href")
        (tmp_path / Path(address).name).write_bytes(page.request.get(address).body())
    names = sorted(path.name for path in tmp_path.iterdir())
    stages = [f"bird-{resolution}.png" for resolution in SIDES]
    assert names == sorted([*stages, "bird-attention.png", "bird.json", "bird-heard-1.wav"])
    given = ["--replay", tmp_path / "bird.json", tmp_path / "bird-heard-1.wav", "--output", tmp_path / "again"]
    command = [sys.executable, "-m", "s2i.generate", *map(str, given)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for name in stages:
        then, again = (np.asarray(Image.open(folder / name)) for folder in (tmp_path, tmp_path / "again"))
        assert (then == again).all()


def test_a_file_that_is_no_recording_gets_a_message_and_the_page_lives(open_page, tmp_path):
    page = open_page(pardon="Waveform load error")
    (tmp_path / "notes.wav").write_text("a blue bird\n" * 100)
    page.get_by_role("button", name="Upload file").click()
    page.locator("#recording input[type=file]").set_input_files(tmp_path / "notes.wav")
    assert told(page, "text file").startswith("Notes.wav: ")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="blue all over").click()
    assert resolutions(page) == SIDES


def test_without_a_microphone_there_is_help(open_page):
    page = open_page(microphone=False)
    page.get_by_role("tab", name="Microphone help").click()
    assert page.get_by_text("choose Allow").is_visible()
    page.get_by_role("tab", name="Type").click()
    page.get_by_label("A description in English").fill("a small red bird")
    page.get_by_role("button", name="Say it for me").click()
    assert resolutions(page) == SIDES
    assert page.locator(".v-play").is_visible()


def test_two_people_have_pages_of_their_own(open_page):
    one, other = open_page(), open_page()
    type_and_paint(one, "a small yellow bird")
    assert resolutions(one) == SIDES
    assert other.locator(".v-stage").count() == 0
    pick(other, "Explore")
    other.get_by_role("button", name="Four variations").click()
    assert "nothing to vary" in told(other, "Variations", "#four-status")


@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_in_light_and_dark(open_page, axe, width):
    page = open_page(width=width, height=844)
    type_and_paint(page, "a small yellow bird with black wings")
    assert resolutions(page) == SIDES
    for tab in ("Explore", "Download", "What it knows", "Microphone help", "From Python", "Compare"):
        pick(page, tab)
        assert fits(page), tab
    pick(page, "Speak")
    assert fits(page)
    assert axe(page) == []
    page.get_by_role("button", name="Light / dark").click()
    assert page.evaluate("document.body.classList.contains('dark')")
    assert axe(page) == []


def test_a_keyboard_is_enough(open_page):
    page = open_page()

    def reach(wanted):
        """Press Tab until `wanted` has the focus."""
        for _ in range(40):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(wanted)

    reach(page.get_by_role("tab", name="Type"))
    page.keyboard.press("Enter")
    reach(page.get_by_label("A description in English"))
    page.keyboard.type("a small red bird")
    reach(page.get_by_role("button", name="Paint the words"))
    page.keyboard.press("Enter")
    assert resolutions(page) == SIDES
    reach(page.get_by_label("Word", exact=True))
    page.keyboard.press("ArrowRight")
    assert "“small” has" in page.locator(".v-caption").inner_text()
