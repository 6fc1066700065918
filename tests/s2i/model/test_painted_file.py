import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from attngan.runtime.training_options import HALF
from datasets.errors import InputError
from s2i import SpeechToImage
from s2i.model import painted_file
from s2i.model.session import Session
from tests.helpers import refused


@pytest.fixture
def paint(talking):
    return SpeechToImage.load(talking)


def texts(path):
    with Image.open(path) as picture:
        return dict(picture.text)


def with_text(path, target, **fields):
    """The same picture with other text fields."""
    info = PngInfo()
    for name, value in fields.items():
        info.add_text(name, value, zip=True)
    Image.open(path).save(target, pnginfo=info)
    return target


def test_pictures_tell_seed_model_and_source_and_their_pixels_stay(paint, wav, tmp_path):
    pictures = paint(wav, samples=2, seed=7)
    paths = pictures.save(tmp_path, "bird")
    for place, path in enumerate(paths):
        found = texts(path)
        assert found["Seed"] == ("7, sample 1" if place >= 3 else "7")
        assert paint.folder.checksum("generator.safetensors") in found["Model"]
        assert paint.folder.checksum("speech.safetensors") in found["Model"]
        assert pictures.origins[0].painting.sources[0].speech in found["Source"]
        assert (np.asarray(Image.open(path)) == pictures.stages[place % 3][place // 3]).all()


@pytest.mark.parametrize("samples", [1, 2])
def test_a_spoken_picture_is_painted_again_from_itself_alone(paint, talking, wav, tmp_path, samples):
    pictures = paint(wav, samples=samples, seed=7)
    session = Session(talking)
    for place, path in enumerate(pictures.save(tmp_path, "bird")):
        again, _, same = session.repaint(painted_file.read(path))
        assert same
        for one, other in zip(again.stages, pictures.stages, strict=True):
            assert (one[0] == other[place // 3]).all()


def test_a_typed_picture_holds_its_words(paint, talking, tmp_path):
    pictures = paint(text="a  small yellow bird — with wings", seed=1)
    (path, *_) = pictures.save(tmp_path, "bird")
    assert texts(path)["Source"] == "a small yellow bird — with wings"
    origin = painted_file.read(path)
    assert origin.condition is None
    again, described, same = Session(talking).repaint(origin)
    assert same
    assert described.parts
    assert set(origin.painting.model) == {"generator.safetensors", "damsm.safetensors"}
    assert (again.stages[-1] == pictures.stages[-1]).all()


def test_a_mixture_and_half_precision_are_painted_again(talking, small, tmp_path):
    session = Session(talking, precision=HALF)
    one, other = session.hear(torch.from_numpy(small.hum(300))), session.read("a red bird")
    pictures = session.paint(session.between(one, other, 0.4), 3, 2)
    path = pictures.save(tmp_path, "between")[-1]
    assert " / 40% a red bird" in texts(path)["Source"]
    again, _, same = Session(talking).repaint(painted_file.read(path))
    assert same
    assert (again.stages[-1] == pictures.stages[-1]).all()
    assert painted_file.read(path).painting.precision == HALF


def test_what_else_a_file_may_be_is_refused(paint, talking, wav, tmp_path):
    path = paint(wav).save(tmp_path, "bird")[-1]
    fields = texts(path)
    plain = tmp_path / "plain.png"
    Image.open(path).save(plain)
    refused(lambda: painted_file.read(plain), plain, "does not tell how it was painted")
    refused(lambda: painted_file.read(tmp_path / "none.png"), "none.png", "not found")
    Image.open(path).save(tmp_path / "bird.jpg")
    refused(lambda: painted_file.read(tmp_path / "bird.jpg"), "bird.jpg")
    for changed in ("{}", "[]", fields["painting"].replace('"seed": 0', '"seed": "x"'), "\x00"):
        bad = with_text(path, tmp_path / "bad.png", painting=changed)
        refused(lambda bad=bad: painted_file.read(bad), bad)
    for changed in ("", "abc", "!!!!", fields["condition"][:-400], fields["condition"][:9000] + "AAAA"):
        bad = with_text(path, tmp_path / "bad.png", painting=fields["painting"], condition=changed)
        refused(lambda bad=bad: painted_file.read(bad), bad, "damaged")
    condition = painted_file.read(path).condition
    for words in (condition.words[:, :8], torch.full_like(condition.words, torch.nan), condition.words[:, :, :0]):
        encoded = painted_file._encode(
            dataclasses.replace(condition, words=words, mask=condition.mask[:, : words.shape[2]])
        )
        bad = with_text(path, tmp_path / "bad.png", painting=fields["painting"], condition=encoded)
        refused(lambda bad=bad: painted_file.read(bad), bad, "damaged")
    narrow = dataclasses.replace(condition, sentence=condition.sentence[:, :8], words=condition.words[:, :8])
    encoded = painted_file._encode(narrow)
    origin = painted_file.read(with_text(path, tmp_path / "narrow.png", painting=fields["painting"], condition=encoded))
    refused(lambda: Session(talking).repaint(origin), "8 dimensions")


def test_any_damage_of_a_file_is_one_line_or_no_harm(paint, wav, tmp_path):
    path = paint(wav).save(tmp_path, "bird")[0]
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    bad, told, unharmed = tmp_path / "bad.png", 0, 0
    for _ in range(300):
        changed = bytearray(data[: rng.integers(9, len(data))] if rng.random() < 0.3 else data)
        for place in rng.integers(8, len(changed), rng.integers(1, 9)):
            changed[place] = rng.integers(256)
        bad.write_bytes(changed)
        try:
            painted_file.read(bad)
        except InputError as error:
            told += "\n" not in str(error)
        else:
            unharmed += 1
    assert told + unharmed == 300
    assert told > 200


def test_text_that_unpacks_to_much_is_refused(paint, wav, tmp_path):
    path = paint(wav).save(tmp_path, "bird")[0]
    info = PngInfo()
    info.add_text("painting", "a" * 2_000_000, zip=True)
    buffer = io.BytesIO()
    Image.open(path).save(buffer, "PNG", pnginfo=info)
    (tmp_path / "bomb.png").write_bytes(buffer.getvalue())
    refused(lambda: painted_file.read(tmp_path / "bomb.png"), "bomb.png")
