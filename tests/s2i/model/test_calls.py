import numpy as np
import pytest
import torch

from s2i import SpeechToImage
from s2i.model import calls
from tests.helpers import refused


@pytest.fixture
def paint(talking):
    return SpeechToImage.load(talking)


def same(one, other):
    return all((a == b).all() for a, b in zip(one.stages, other.stages, strict=True))


def test_a_list_of_recordings_gives_the_pictures_of_each(paint, wav, small):
    wave = small.hum(500)
    both = paint([str(wav), (wave, 16_000)], seed=3)
    assert isinstance(both, list)
    assert same(both[0], paint(wav, seed=3))
    assert same(both[1], paint(wave, seed=3))
    (alone,) = paint([wav], seed=3)
    assert same(alone, both[0])
    assert paint([]) == []


def test_what_is_one_recording_in_the_form_of_a_list_stays_one(paint, small):
    wave = small.hum(500)
    wanted = paint(wave)
    for recording in (wave.tolist(), [wave, 16_000], [wave.tolist(), wave.tolist()]):
        assert same(paint(recording), wanted)
    assert [len(pictures) for pictures in paint([wave, wave])] == [1, 1]
    assert calls.is_list(["a.wav"])
    assert not calls.is_list("a.wav")
    assert not calls.is_list(("a.wav", 16_000))


def test_text_stands_alone_or_beside_recordings(paint, wav):
    read = paint(text="a small yellow bird", seed=2)
    assert read.segments == []
    heard = paint(wav, seed=2)
    both = paint(wav, text="a small yellow bird", seed=2)
    assert [same(*pair) for pair in zip(both, (heard, read), strict=True)] == [True, True]
    assert len(paint([wav, wav], text=["a red bird", "black wings"])) == 4
    assert isinstance(paint(text=["a red bird"]), list)


def test_each_may_have_a_seed_of_its_own(paint, wav):
    one, other = paint([wav, wav], seed=[3, np.int64(4)])
    assert same(one, paint(wav, seed=3))
    assert same(other, paint(wav, seed=4))
    assert not same(one, other)


def test_a_generator_draws_the_seeds(paint, wav):
    def generator():
        return torch.Generator().manual_seed(5)

    one = paint(wav, generator=generator())
    assert same(one, paint(wav, generator=generator()))
    assert same(one, paint(wav, seed=one.origins[0].painting.seed))
    twice = generator()
    first, second = paint([wav, wav], generator=twice)
    assert same(first, one)
    assert not same(second, one)
    assert not same(paint(wav, generator=twice), second)
    for pictures in paint([wav, wav], generator=[generator(), generator()]):
        assert same(pictures, one)


def test_images_are_the_largest_pictures(paint, wav):
    pictures = paint(wav, samples=2)
    assert [image.size for image in pictures.images] == [(32, 32)] * 2
    assert (np.asarray(pictures.images[1]) == pictures.stages[-1][1]).all()


def test_moving_gives_the_same_model(paint, wav):
    wanted = paint(wav)
    paint.read("a red bird")
    assert paint.to("cpu") is paint
    assert same(paint.to(torch.device("cpu"))(wav), wanted)
    refused(lambda: paint.to("abacus"), "abacus")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["none given"]),
        ({"text": 5}, ["text", "int"]),
        ({"text": ["a red bird", 5]}, ["text"]),
        ({"text": ["a red bird", "птица"]}, ["2 of 2", "no word"]),
        ({"text": "a red bird", "seed": 1.5}, ["1.5", "whole number"]),
        ({"text": "a red bird", "seed": [1, 2]}, ["2 given for 1"]),
        ({"text": ["a red bird"] * 2, "seed": [1, -2]}, ["seed -2"]),
        ({"text": "a red bird", "seed": "7"}, ["whole number"]),
        ({"text": "a red bird", "generator": 7}, ["generator"]),
        ({"text": "a red bird", "generator": [7]}, ["torch.Generator"]),
        ({"text": "a red bird", "generator": torch.Generator(), "seed": 3}, ["leave out seed"]),
        ({"text": "a red bird", "samples": 0}, ["samples 0"]),
    ],
)
def test_a_bad_call_is_refused_in_one_line(paint, given, words):
    refused(lambda: paint(**given), *words)


def test_a_bad_recording_of_a_list_is_named(paint, wav, tmp_path):
    refused(lambda: paint([wav, tmp_path / "none.wav"]), "2 of 2", "none.wav")
    refused(lambda: paint([wav, None]), "2 of 2")
