"""Published files become a model of ours with equal outputs. No such file is had here, so they are made in its form."""

import pickle
import subprocess
import sys
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from attngan.networks import published
from attngan.networks.encoders import encode_captions, load_image_encoder, load_text_encoder
from attngan.networks.generator import load_generator
from attngan.runtime.state_dict import read_state_dict
from s2i import SpeechToImage, generate, import_attngan
from tests.attngan.networks.attngan_layout import Painter, Reader, Viewer, old, stirred
from tests.helpers import refused

WORDS = ["<end>", "this", "bird", "is", "small", "and", "yellow", "with", "black", "wings", "a", "red", "head"]
NAMES = ("netG.pth", "text_encoder200.pth", "image_encoder200.pth", "captions.pickle")


def write(folder, painter, reader, viewer, words=WORDS, **how):
    folder.mkdir(exist_ok=True)
    for name, network in zip(NAMES, (painter, reader, viewer), strict=False):
        torch.save(OrderedDict(old(network)), folder / name, **how)
    numbers = dict(enumerate(words))
    captions = [[[1, 2]], [[2, 3]], numbers, {word: number for number, word in numbers.items()}]
    (folder / NAMES[3]).write_bytes(pickle.dumps(captions, protocol=2))
    return [folder / name for name in NAMES]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Networks in the published layout, their files, and what was imported of them."""
    root = tmp_path_factory.mktemp("published")
    painter, reader, viewer = stirred(Painter(), 1), stirred(Reader(len(WORDS)), 2), stirred(Viewer(), 3)
    files = write(root / "theirs", painter, reader, viewer)
    import_attngan.main([*map(str, files), "-o", str(root / "ours")])
    return SimpleNamespace(root=root, painter=painter, reader=reader, viewer=viewer, files=files, ours=root / "ours")


def test_there_are_82_tensors_of_the_published_names(made):
    assert len(old(made.painter)) == 82
    assert len(old(made.reader)) == 9
    found = {path.name for path in made.ours.iterdir()}
    assert found == {"generator.safetensors", "damsm.safetensors", "model.json"}


@torch.inference_mode()
def test_text_is_read_equally(made):
    encoder, vocabulary = load_text_encoder(made.ours / "damsm.safetensors")
    numbers = [WORDS.index(word) for word in ["this", "small", "bird", "is", "yellow"]]
    words, sentence = made.reader(torch.tensor([numbers]))
    found = encode_captions(encoder, vocabulary, ["This small bird, is YELLOW."])
    torch.testing.assert_close(found.sentence, sentence)
    torch.testing.assert_close(found.words, words)
    skipping = encode_captions(encoder, vocabulary, ["this small zorp bird is greenish yellow"])
    torch.testing.assert_close(skipping.sentence, sentence)


@torch.inference_mode()
@pytest.mark.parametrize("side", [299, 256])
def test_pictures_are_seen_equally(made, side):
    encoder, about = load_image_encoder(made.ours / "damsm.safetensors")
    picture = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(4)) * 2 - 1
    features, code = made.viewer(picture)
    found = encoder(picture)
    torch.testing.assert_close(found.pooled, code, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.regions, features.flatten(2), rtol=1e-4, atol=1e-4)
    assert about["config"] == {"gamma1": 4.0, "gamma2": 5.0, "gamma3": 10.0}


@torch.inference_mode()
def test_pictures_are_painted_equally(made):
    generator, _ = load_generator(made.ours / "generator.safetensors")
    assert generator.arguments["affine"] is generator.arguments["skip"] is False
    encoder, vocabulary = load_text_encoder(made.ours / "damsm.safetensors")
    condition = encode_captions(encoder, vocabulary, ["a small yellow bird with black wings"])
    noise = generator.sample_noise([(7, 0)])
    wanted, maps = made.painter(noise.noise, condition.sentence, condition.words, noise.epsilon)
    found = generator.paint(condition, noise)
    assert [picture.shape[-1] for picture in found.pictures] == [64, 128, 256]
    for ours, theirs in zip(found.pictures, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(found.attention, maps, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_model_paints_typed_words_from_the_command_line(made, tmp_path, capsys):
    options = ["--model", str(made.ours), "-o", str(tmp_path), "--attention"]
    assert generate.main(["--text", "a small zorp bird", *options]) == 0
    told = capsys.readouterr()
    assert "zorp" in told.err
    assert Image.open(tmp_path / "a-small-bird-256.png").size == (256, 256)
    assert (tmp_path / "a-small-bird-attention.png").is_file()
    paint = SpeechToImage.load(made.ours)
    assert (paint(text="a small bird").stages[-1][0] == np.asarray(Image.open(tmp_path / "a-small-bird-256.png"))).all()


def test_files_of_old_versions_of_torch_and_of_several_gpus_are_read(made, tmp_path):
    path = tmp_path / "netG.pth"
    for prefix in ("", "module."):
        state = {f"{prefix}{name}": value for name, value in old(made.painter).items()}
        torch.save(state, path, _use_new_zipfile_serialization=False)
        found = published.generator_from(read_state_dict(path, published.GENERATOR), path).state_dict()
        wanted = load_generator(made.ours / "generator.safetensors")[0].state_dict()
        assert all(torch.equal(value, found[name]) for name, value in wanted.items())


@torch.inference_mode()
def test_other_widths_blocks_and_cells_are_told_by_their_shapes(made):
    painter, reader = stirred(Painter(g=8, c=20, z=30, blocks=3), 5), stirred(Reader(len(WORDS), "GRU"), 6)
    path = made.files[0]
    vocabulary = published.read_vocabulary(made.files[3])
    generator = published.generator_from(painter.state_dict(), path)
    encoder = published.text_encoder_from(old(reader), vocabulary, path)
    condition = encode_captions(encoder, vocabulary, ["a red bird"])
    tokens = torch.tensor([[WORDS.index(word) for word in ("a", "red", "bird")]])
    torch.testing.assert_close(condition.sentence, reader(tokens)[1])
    noise = generator.sample_noise([(1, 0)])
    wanted, _ = painter(noise.noise, condition.sentence, condition.words, noise.epsilon)
    torch.testing.assert_close(generator.paint(condition, noise).pictures[-1], wanted[-1], rtol=1e-4, atol=1e-4)


class Harmful:
    def __reduce__(self):
        return exec, ("open('harmed', 'w')",)


def spoil(kind, files, painter):
    gan, text, image, captions = files
    state, whole, other = old(painter), gan.read_bytes(), text.read_bytes()
    for file in (image,) if kind == "image" else (gan, text, captions):  # no link any more, to be written
        data = file.read_bytes()
        file.unlink()
        file.write_bytes(data)
    if kind == "missing":
        gan.unlink()
    elif kind in ("empty", "random", "cut"):
        gan.write_bytes({"empty": b"", "random": bytes(range(256)) * 40, "cut": whole[:-5000]}[kind])
    elif kind == "code":
        torch.save(Harmful(), gan)
    elif kind == "swapped":
        gan.write_bytes(other)
    elif kind == "list":
        torch.save([1, 2, 3], gan)
    elif kind == "lacking":
        torch.save({name: value for name, value in state.items() if name != "h_net2.upsample.2.bias"}, gan)
    elif kind == "more":
        torch.save({**state, "h_net9.weight": torch.ones(1)}, gan)
    elif kind == "shape":
        torch.save({**state, "img_net2.img.0.weight": torch.ones(3, 9, 3, 3)}, gan)
    elif kind == "nan":
        torch.save({**state, "img_net2.img.0.weight": torch.full((3, 32, 3, 3), torch.nan)}, gan)
    elif kind == "image":
        image.write_bytes(whole)
    elif kind == "words":
        torch.save(old(Reader(len(WORDS) + 3)), text)
    elif kind == "pickle":
        captions.write_bytes(b"no pickle")
    elif kind == "captions":
        captions.write_bytes(pickle.dumps([[], [], {0: "a", 1: "b"}, {}]))
    elif kind == "harm":
        captions.write_bytes(pickle.dumps(Harmful()))


@pytest.mark.parametrize(
    ("kind", "name", "word"),
    [
        ("missing", "netG.pth", "not found"),
        ("empty", "netG.pth", "not AttnGAN's netG.pth"),
        ("random", "netG.pth", "not AttnGAN's netG.pth"),
        ("cut", "netG.pth", "not AttnGAN's netG.pth"),
        ("code", "netG.pth", "would run code"),
        ("swapped", "netG.pth", "ca_net.fc.weight is missing"),
        ("list", "netG.pth", "no dictionary of tensors"),
        ("lacking", "netG.pth", "h_net2.upsample.2.bias is missing"),
        ("more", "netG.pth", "h_net9.weight is not known"),
        ("shape", "netG.pth", "img_net2.img.0.weight is [3, 9, 3, 3]"),
        ("nan", "netG.pth", "not finite"),
        ("image", "image_encoder200.pth", "not DAMSM's image_encoder.pth"),
        ("words", "text_encoder200.pth", "knows 16 words, the captions 13"),
        ("pickle", "captions.pickle", "damaged"),
        ("captions", "captions.pickle", "do not begin with <end>"),
        ("harm", "captions.pickle", "run code"),
    ],
)
def test_what_is_no_such_file_is_refused_in_one_line_and_nothing_is_written(
    made, tmp_path, monkeypatch, kind, name, word
):
    monkeypatch.chdir(tmp_path)
    files = []
    for file in made.files:
        files.append(tmp_path / file.name)
        files[-1].symlink_to(file)
    spoil(kind, files, made.painter)
    refused(lambda: import_attngan.import_files(*files, output=tmp_path / "ours"), tmp_path / name, word)
    assert not (tmp_path / "ours").exists()
    assert not (tmp_path / "harmed").exists()


def test_the_command_wants_four_files(tmp_path):
    command = [sys.executable, "-m", "s2i.import_attngan", "netG.pth"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: files: 1 given; name four: netG.pth text_encoder200.pth image_encoder200.pth captions.pickle\n"
    )
