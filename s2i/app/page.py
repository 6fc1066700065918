"""The page: what stands where, and what answers."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from datasets import voices
from s2i.app import texts, theme
from s2i.app.api import Api
from s2i.app.backend import MAX_SEED, Backend, any_seed
from s2i.app.compare_handlers import CompareHandlers
from s2i.app.explore_handlers import ExploreHandlers
from s2i.app.paint_handlers import PaintHandlers
from s2i.app.uploads import KEEP_SECONDS

FILES = Path(__file__).parent / "files"
MAX_THREADS = 4  # each that paints keeps threads and memory of its own
QUEUE_SIZE = 60  # people in the queue; the next is asked to come back
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
PAINTING: dict[str, Any] = {"concurrency_id": "paint", "concurrency_limit": 1}


def build(backend: Backend, examples: list[Path], address: str) -> gr.Blocks:
    """The page.

    Args:
        backend: holds the model.
        examples: recordings to click on, named after what they say.
        address: where the page will be, for the lines that call it from Python.
    """
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False) as page:
        described = gr.State(None, time_to_live=3 * KEEP_SECONDS)
        with gr.Row(equal_height=False, elem_id="top"):
            gr.HTML(texts.INTRODUCTION, elem_classes="intro", scale=1)
            dark = gr.Button("Light / dark", size="sm", elem_id="dark", scale=0, min_width=110)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                given = _what_is_given(examples)
            with gr.Column(scale=8, min_width=320):
                viewer = gr.HTML(
                    None, html_template="<div></div>", js_on_load=(FILES / "viewer.js").read_text(encoding="utf-8"),
                    elem_id="viewer", apply_default_css=False,
                )  # fmt: skip
                noise = _noise()
        with gr.Tabs(elem_id="more", overflow_behavior="wrap"):
            with gr.Tab("Compare", id="compare"):
                compared = _compared()
            with gr.Tab("Explore", id="explore"):
                explored = _explored()
            with gr.Tab("Download", id="download"):
                gr.Markdown(texts.DOWNLOAD)
                prepare = gr.Button("Prepare the files", elem_id="prepare")
                files_status = gr.HTML("", elem_id="files-status")
                files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="files", visible=False)
            with gr.Tab("What it knows", id="knows"):
                gr.Markdown(texts.KNOWS)
            with gr.Tab("Microphone help", id="help"):
                gr.Markdown(texts.MICROPHONE)
            with gr.Tab("From Python", id="python"):
                gr.Markdown(texts.API.replace("{address}", address))
        _api(Api(backend))
        exploring = ExploreHandlers(backend)
        shown = [viewer, given.status, described, noise.seed, compared.said]
        _answer_painting(PaintHandlers(backend), given, noise, explored, shown)
        _answer_more(CompareHandlers(backend), exploring, described, noise, compared, explored)
        prepare.click(
            exploring.files, [described, noise.seed, noise.sample], [files, files_status], **PAINTING, **PRIVATE
        )
        dark.click(None, None, None, js=theme.DARK, **PRIVATE)
        page.load(None, None, None, js=theme.ON_LOAD, **PRIVATE)
        page.unload(backend.close)
    page.max_threads = MAX_THREADS
    page.queue(max_size=QUEUE_SIZE, default_concurrency_limit=1)
    return page


def _what_is_given(examples: list[Path]) -> SimpleNamespace:
    """Where people speak and type, and are told what becomes of it."""
    with gr.Tabs():
        with gr.Tab("Speak", id="speak"):
            recording = gr.Audio(
                sources=["microphone", "upload"],
                type="filepath",
                label="Your recording",
                elem_id="recording",
                waveform_options=gr.WaveformOptions(waveform_color="#6b7f92", waveform_progress_color="#0d6b53"),
                buttons=[],
            )
            at_once = gr.Checkbox(True, label="Paint as soon as the recording ends")
            paint = gr.Button("Paint", variant="primary", elem_id="paint")
        with gr.Tab("Type", id="type"):
            typed = gr.Textbox(
                label="A description in English", placeholder=texts.SENTENCES[0], lines=2, max_lines=4, elem_id="typed"
            )
            with gr.Row():
                paint_text = gr.Button("Paint the words", variant="primary", elem_id="paint-text", min_width=130)
                say = gr.Button("Say it for me", elem_id="say", min_width=130)
            names = [voice.name for voice in voices.available()]
            voice = gr.Dropdown(
                names, value=names[0] if names else None, label="Voice that says it", elem_id="voice",
                info="A synthetic voice reads the sentence out; the bird is painted from its sound.",
            )  # fmt: skip
            gr.Examples([[text] for text in texts.SENTENCES], typed, label="Sentences to try", **PRIVATE)
    status = gr.HTML(texts.READY, elem_id="status")
    if examples:
        labels = [path.stem.replace("-", " ") for path in examples]
        gr.Examples(
            [[str(path)] for path in examples], [recording], example_labels=labels, label="Recordings to try", **PRIVATE
        )
    return SimpleNamespace(
        recording=recording, at_once=at_once, paint=paint, typed=typed, paint_text=paint_text, say=say, voice=voice,
        status=status,
    )  # fmt: skip


def _noise() -> SimpleNamespace:
    """What chooses among the pictures of one description."""
    with gr.Row(equal_height=True, elem_id="noise"):
        sample = gr.Radio([1, 2, 3, 4], value=1, label="Variation", elem_id="variation", min_width=220, scale=3)
        seed = gr.Number(
            0, label="Noise number", precision=0, minimum=0, maximum=MAX_SEED, elem_id="seed", min_width=120, scale=2
        )
        with gr.Column(min_width=200, scale=3, elem_classes="tight"):
            new = gr.Button("New noise", elem_id="new-noise", size="md")
            keep = gr.Checkbox(True, label="Keep the noise for the next sentence")
    return SimpleNamespace(seed=seed, sample=sample, new=new, keep=keep)


def _compared() -> SimpleNamespace:
    gr.Markdown(texts.COMPARE)
    said = gr.Textbox(label="What was really said, if you know it", elem_id="said", info=texts.SAID)
    button = gr.Button("Compare the ways", elem_id="compare-button")
    status = gr.HTML("", elem_id="compared-status")
    return SimpleNamespace(said=said, button=button, status=status, cards=gr.HTML("", apply_default_css=False))


def _explored() -> SimpleNamespace:
    gr.Markdown(texts.FOUR)
    four = gr.Button("Four variations", elem_id="four")
    four_status = gr.HTML("", elem_id="four-status")
    varied = gr.HTML("", elem_id="varied", apply_default_css=False)
    gr.Markdown(texts.MORPH)
    second = gr.Textbox(label="Second sentence", placeholder=texts.SENTENCES[1], elem_id="second")
    morph = gr.Button("Morph", elem_id="morph")
    morph_status = gr.HTML("", elem_id="morph-status")
    morphed = gr.HTML("", elem_id="morphed", apply_default_css=False)
    with gr.Row(equal_height=True):
        share = gr.Slider(0, 100, 50, step=1, label="Share of the second sentence (%)", scale=3)
        mix = gr.Button("Paint this mixture in full", elem_id="mix", scale=1)
    return SimpleNamespace(
        four=four, four_status=four_status, varied=varied, second=second, morph=morph, morph_status=morph_status,
        morphed=morphed, share=share, mix=mix,
    )  # fmt: skip


def _answer_painting(
    painting: PaintHandlers, given: SimpleNamespace, noise: SimpleNamespace, explored: SimpleNamespace, shown: list[Any]
) -> None:
    described = shown[2]
    which = [noise.seed, noise.sample]
    kept = [*which, noise.keep]
    paints: dict[str, Any] = {**PAINTING, **PRIVATE, "show_progress_on": [given.status]}
    given.recording.change(painting.new_recording, [given.recording, given.at_once, *kept], shown, **paints)
    given.paint.click(painting.speech, [given.recording, *kept], shown, **paints)
    given.typed.submit(painting.text, [given.typed, *kept], shown, **paints)
    given.paint_text.click(painting.text, [given.typed, *kept], shown, **paints)
    given.say.click(painting.say, [given.typed, given.voice, *kept], shown, **paints)
    noise.new.click(any_seed, None, noise.seed, queue=False, **PRIVATE).then(
        painting.again, [described, *which], shown, **paints
    )
    noise.seed.submit(painting.again, [described, *which], shown, **paints)
    noise.sample.input(painting.again, [described, *which], shown, **paints)
    explored.mix.click(painting.mixture, [described, explored.second, explored.share, *which], shown, **paints)


def _answer_more(
    comparing: CompareHandlers,
    exploring: ExploreHandlers,
    described: gr.State,
    noise: SimpleNamespace,
    compared: SimpleNamespace,
    explored: SimpleNamespace,
) -> None:
    both: dict[str, Any] = {**PAINTING, **PRIVATE}
    compared.button.click(
        comparing.compare, [described, compared.said, noise.seed, noise.sample], [compared.cards, compared.status],
        show_progress_on=[compared.status], **both,
    )  # fmt: skip
    explored.four.click(
        exploring.four, [described, noise.seed], [explored.varied, explored.four_status],
        show_progress_on=[explored.four_status], **both,
    )  # fmt: skip
    explored.morph.click(
        exploring.morph, [described, explored.second, noise.seed, noise.sample],
        [explored.morphed, explored.morph_status], show_progress_on=[explored.morph_status], **both,
    )  # fmt: skip


def _api(api: Api) -> None:
    """What programs call; nothing of it is seen."""
    with gr.Row(visible=False):
        recording = gr.Audio(type="filepath", label="recording")
        words = gr.Textbox(label="text")
        seed = gr.Number(0, label="seed")
        pictures = gr.File(label="pictures", file_count="multiple")
        speech, sound, text = gr.Button(), gr.Button(), gr.Button()
    public: dict[str, Any] = {**PAINTING, "api_visibility": "public"}
    speech.click(api.speech, [recording, seed], pictures, api_name="paint", **public)
    sound.click(api.sound, [recording, seed], pictures, api_name="paint_sound", **public)
    text.click(api.text, [words, seed], pictures, api_name="paint_text", **public)
