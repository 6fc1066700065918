import dataclasses

import numpy as np
import pytest
from PIL import Image

from datasets.errors import InputError
from s2i.model import attention_figure
from s2i.model.pipeline import Pictures


def pictures(segments=4, sides=(16, 32)):
    """A black picture of each size whose left 3/4 look at the first segment, the rest at the last."""
    attention = []
    for side in sides[:-1]:
        looked = np.full((1, side, side, segments), 0.02, np.float32)
        looked[:, :, : side * 3 // 4, 0] = looked[:, :, side * 3 // 4 :, -1] = 1 - 0.02 * (segments - 1)
        attention.append(looked)
    return Pictures(
        stages=[np.zeros((1, side, side, 3), np.uint8) for side in sides],
        attention=attention,
        segments=[(k * 0.2, (k + 1) * 0.2) for k in range(segments)],
        log_mel=np.random.default_rng(0).standard_normal((20 * segments, 40)).astype(np.float32),
    )


def pixels(axes):
    """The last picture drawn into axes."""
    return np.asarray(axes.get_images()[-1].get_array())


def test_regions_take_the_colour_of_the_segment_they_look_at_most():
    figure = attention_figure.draw(pictures(), title="bird")
    speech, picture, strongest, first, *_ = figure.axes
    palette = attention_figure.colours(4)
    over = pixels(strongest)
    np.testing.assert_allclose(over[:, :12, :3], np.broadcast_to(palette[0], (16, 12, 3)), atol=1e-6)
    np.testing.assert_allclose(over[:, 12:, :3], np.broadcast_to(palette[3], (16, 4, 3)), atol=1e-6)
    assert pixels(picture).max() == 0
    heat = pixels(first)[..., 3]
    assert heat[:, :12].min() > 10 * heat[:, 12:].max()
    assert speech.get_xlim() == pytest.approx((0, 0.8))


def test_heat_maps_are_of_the_segments_with_most_mass_and_tell_their_time():
    drawn = pictures(segments=7)
    drawn.attention[0][:] = np.array([1, 2, 3, 4, 20, 30, 40]) / 100
    axes = attention_figure.draw(drawn, title="bird").axes
    assert [place.get_title() for place in axes[3:]] == [
        "1.20–1.40 s  ·  40%",
        "1.00–1.20 s  ·  30%",
        "0.80–1.00 s  ·  20%",
        "0.60–0.80 s  ·  4%",
        "0.40–0.60 s  ·  3%",
    ]


def test_there_is_a_row_for_each_refinement():
    axes = attention_figure.draw(pictures(sides=(8, 16, 32, 64)), title="bird").axes
    assert [place.get_ylabel() for place in axes if "px" in place.get_ylabel()] == ["16 px", "32 px", "64 px"]


def test_the_spectrogram_is_tinted_by_segment_and_marks_their_bounds():
    drawn = pictures()
    drawn.log_mel[:] = 0.6
    drawn.log_mel[:, 0] = 1.0  # so that there is a range of levels
    speech = attention_figure.draw(drawn, title="bird").axes[0]
    palette = attention_figure.colours(4)
    bounds = [line.get_xdata()[0] for line in speech.lines]
    assert bounds == pytest.approx([0, 0.2, 0.4, 0.6])
    bright = pixels(speech)[0]
    for segment in range(4):
        shade = bright[20 * segment + 10]
        np.testing.assert_allclose(shade, palette[segment] * 0.15, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 32])
def test_every_segment_has_a_colour_of_its_own(count):
    palette = attention_figure.colours(count)
    assert palette.shape == (count, 3)
    assert palette.min() >= 0
    assert palette.max() <= 1
    distances = np.abs(palette[:, None] - palette[None]).sum(2) + 9 * np.eye(count)
    assert distances.min() > 0.05
    assert (np.abs(np.diff(palette, axis=0)).sum(1) > 0.2).all()


@pytest.mark.parametrize("segments", [1, 3, 32])
def test_saved_as_one_png_for_any_number_of_segments(tmp_path, segments):
    path = tmp_path / "bird-attention.png"
    attention_figure.save_figure(path, pictures(segments), title="bird")
    image = Image.open(path)
    assert image.format == "PNG"
    assert image.width > 1500
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_the_same_pictures_give_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        attention_figure.save_figure(tmp_path / name, pictures(), title="bird")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        attention_figure.save_figure(tmp_path / "file" / "x.png", pictures(), title="bird")


@pytest.mark.parametrize("title", ["$", "5$ bird $\\frac", "$x_{$ {", "a_b^c \\alpha"])
def test_a_title_is_text_and_no_formula(tmp_path, title):
    attention_figure.save_figure(tmp_path / "a.png", pictures(), title=title)
    assert attention_figure.draw(pictures(), title=title).texts[0].get_text() == title
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_words_are_drawn_in_their_colours_where_nothing_was_heard():
    typed = dataclasses.replace(pictures(), segments=[], log_mel=np.zeros((0, 40), np.float32))
    words = [f"word{k}" for k in range(typed.attention[0].shape[-1])]
    figure = attention_figure.draw(typed, title="$x$ costs $5", words=words)
    assert [text.get_text() for text in figure.axes[0].texts] == words
    patches = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    np.testing.assert_allclose(patches, attention_figure.colours(len(words)), atol=1e-6)
    titles = [axes.get_title() for axes in figure.axes]
    assert "strongest word" in titles
    assert any(title.startswith("word") and title.endswith("%") for title in titles)
    figure.canvas.draw()  # a dollar sign is no formula
