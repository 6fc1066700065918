"""Files of every kind that is read, damaged at random: each is read as it was, or refused in one line.

Those of one kind are read by one process, which ends if one takes ten seconds, and has two gigabytes.
"""

import json
import multiprocessing
import os
import pickle
import random
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from attngan.networks.encoders import build_image_encoder, load_image_encoder, load_text_encoder
from attngan.networks.generator import Generator, load_generator
from attngan.networks.text_encoder import TextEncoder
from attngan.runtime import checkpoint
from attngan.runtime.run import Run
from attngan.runtime.training_options import TrainingOptions
from attngan.training.feature_cache import FeatureCache
from datasets import corpus, cub, picture_file, shard, synthesis
from datasets.corpus import Corpus, Tables
from datasets.errors import InputError
from s2i.evaluation import results
from s2i.evaluation.cache import Cache
from s2i.model import replay
from s2i.model.model_folder import ModelFolder
from s2i.model.speech_encoder import SpeechEncoder, load_speech_encoder

SECONDS, BYTES = 10, 2_000_000_000
CLAIMS = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 2**40, 2**47, 2**63 - 1, 2**64 - 1)
TEXTS = (b"[]", b"{}", b"null", b"-1", b"1e999", b'"x"', b"[" * 30_000, b"\xff\xfe", b"9" * 5000)


def mutant(data: bytes, rng: random.Random) -> bytes:
    """`data` with flipped bits, other bytes, a stretch lost or put in, an end too early, or a huge number."""
    mutable, place = bytearray(data), rng.randrange(len(data))
    kind = rng.randrange(8)
    if kind == 0:
        for _ in range(rng.randint(1, 3)):
            mutable[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        mutable[place] = rng.randrange(256)
    elif kind == 2:
        length = rng.choice((4, 16, 512))
        mutable[place : place + length] = rng.randbytes(len(mutable[place : place + length]))
    elif kind == 3:
        begin = place - place % 512
        mutable[begin : begin + 512] = bytes(len(mutable[begin : begin + 512]))
    elif kind == 4:
        del mutable[place:]
    elif kind == 5:
        del mutable[place : place + rng.choice((1, 8, 100))]
    elif kind == 6:
        length = rng.choice((2, 4, 8))
        claim = rng.choice(CLAIMS).to_bytes(8, rng.choice(("little", "big")))
        mutable[place : place + length] = claim[:length]
    else:
        mutable[place:place] = rng.choice(TEXTS)
    return bytes(mutable)


@dataclass(frozen=True)
class Options(TrainingOptions):
    pictures: int = 10
    checkpoint_every: int = 5
    log_every: int = 5


def picture() -> bytes:
    from PIL import Image

    return picture_file.encode(Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)))


def write_corpus(path):
    tables = Tables(
        species=["crow", "gull"],
        picture_names=["one", "two"],
        picture_species=[0, 1],
        picture_split=[0, 2],
        captions=["a black bird", "a white bird"],
        caption_picture=[0, 1],
        recording_picture=[0, 1],
        recording_caption=[0, 1],
        recording_voice=[0, 1],
        recording_seed=[1, 2],
        voice_names=["espeak-us", "espeak-us-f5"],
        voice_heard=[True, False],
    )
    mels = [np.ones((20, 40), np.float32), np.zeros((30, 40), np.float32)]
    corpus.write(path, tables, [picture(), picture()], mels, sources={"a": "b"}, config={"c": 1})


def read_corpus(path):
    opened = Corpus(path)
    try:
        told = [list(opened.names), list(opened.captions), opened.species_names, opened.sources, opened.config]
        numbers = [opened.species, opened.split, opened.recording_caption, opened.recording_voice]
        return repr((told, [opened.encoded(k) for k in range(2)], [opened.mel(k).sum() for k in range(2)], numbers))
    finally:
        opened.close()


def write_manifest(path):
    write_corpus(path.with_name("a.h5"))
    shard.write_manifest(path, [path.with_name("a.h5")])


def write_weights(path):
    torch.manual_seed(0)
    image = {"trunk": "scratch", "size": 32, "width": 4, "blocks": [1, 1, 1, 1]}
    words = ["<end>", "<unk>", "a", "bird"]
    state = {
        "caption": TextEncoder(n_words=4).state_dict(),
        "image": build_image_encoder(image).state_dict(),
    }
    checkpoint.save(path, state, {"kind": "damsm-weights", "caption": "text", "vocabulary": words, "image": image})


def read_damsm(path):
    image, _ = load_image_encoder(path)
    text, vocabulary = load_text_encoder(path)
    return sums(image) + sums(text) + repr(vocabulary.words)


def write_generator(path):
    torch.manual_seed(0)
    generator = Generator(stages=2, base=8, widths=(4,), blocks=(1,), max_width=8)
    checkpoint.save(path, generator.state_dict(), {"kind": "generator", "generator": generator.arguments})


def write_speech(path):
    torch.manual_seed(0)
    encoder = SpeechEncoder(width=8, hidden=8, segments=4, segment_frames=2)
    about = {"kind": "speech-encoder-weights", "speech": encoder.arguments}
    checkpoint.save(path, {"caption": encoder.state_dict()}, about)


def without_checksum(write):
    """Weights as they were written before there were checksums."""

    def write_old(path):
        write(path)
        with safetensors.safe_open(path, "pt") as file:
            description = json.loads(file.metadata()["description"])
        del description[checkpoint.CHECKSUM]
        metadata = {"description": json.dumps({**description, "format": checkpoint.UNSIGNED})}
        safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata)

    return write_old


def sums(network):
    return repr([float(value.double().sum()) for value in network.state_dict().values()])


def write_features(path):
    cache = features_of(path)
    os.replace(cache.path, path)


def read_features(path):
    cache = features_of(path, path.read_bytes())
    return repr(cache.features(torch.tensor([0, 1]), np.array([1, 0])).pooled.sum())


def features_of(path, data=None):
    """The cache of a corpus of two pictures, beside `path`; from `data` where it is given."""
    folder = path.parent / "features"
    if not (path.parent / "pictures.h5").exists():
        write_corpus(path.parent / "pictures.h5")
    opened = Corpus(path.parent / "pictures.h5")
    torch.manual_seed(0)
    encoder = build_image_encoder({"trunk": "scratch", "size": 32, "width": 2, "blocks": [1, 1, 1, 1]}).eval()
    for old in folder.glob("*"):
        if data is not None:
            old.write_bytes(data)
    cache = FeatureCache(folder, opened, np.array([0, 1]), encoder, views=2, device=torch.device("cpu"))
    if data is not None and cache.path.read_bytes() != data:  # it was made again
        assert cache.path.stat().st_size > 1000
    opened.close()
    return cache


def evaluation_cache(path):
    """A cache that keeps its one result in `path`."""
    cache = Cache(path.parent)
    cache.path = lambda *_: path
    return cache


def computed():
    return {"a": torch.arange(300.0), "b": torch.ones(2, 2, dtype=torch.int64)}


def write_captions(path):
    captions = [[[1, 2]] * 20, [[2, 3]] * 10, {1: "a", 2: "black", 3: "bird"}, {"a": 1, "black": 2, "bird": 3}]
    path.write_bytes(pickle.dumps(captions, 2))


def write_run(path):
    run = Run(path.parent / "run", "job", Options())
    run.resume()
    run.position = 5
    run.log({"loss": 0.25})
    run.save({"weights": torch.ones(3)})
    run.close()
    path.write_bytes((run.folder / path.name).read_bytes())


def read_run(path):
    (path.parent / "run" / path.name).write_bytes(path.read_bytes())
    run = Run(path.parent / "run", "job", Options())
    try:
        return repr(run.resume())
    finally:
        run.close()


def write_model_json(path):
    for write, name in ((write_speech, "speech"), (write_generator, "generator")):
        write(path.with_name(f"{name}.safetensors"))
    from s2i.model.model_folder import write_manifest as describe

    describe(path.parent, {"speech.safetensors": {}, "generator.safetensors": {}})


def write_painting(path):
    about = replay.PaintingFile((replay.Source(text="a bird"),), 0.0, 3, 0, {"generator.safetensors": "ab"}, "cd", 1)
    path.write_text(about.to_json())


def write_results(path):
    row = {"inception_score": {"mean": 3.0, "std": 0.1}, "fid": {"mean": 9.0, "std": 0.2}}
    path.write_text(json.dumps({"meta": {}, "rows": {"s2i": row}}))


def write_piece(path):
    mels = [np.full((4, 40), k, np.float16) for k in range(3)]
    np.savez(path, mel=np.concatenate(mels), frames=[4, 4, 4])


def read_piece(path):
    try:
        return repr(synthesis._read_piece(path, 3))
    except ValueError as error:  # such a piece is made again
        raise InputError(f"{path}: {error}") from error


KINDS = {  # name of the file: how it is written, how it is read, and whether every change must be noticed
    "corpus.h5": (write_corpus, read_corpus, True),
    "shards.json": (write_manifest, lambda path: repr(shard.shard_files(path)), False),
    "damsm.safetensors": (write_weights, read_damsm, True),
    "generator.safetensors": (write_generator, lambda path: sums(load_generator(path)[0]), True),
    "speech.safetensors": (write_speech, lambda path: sums(load_speech_encoder(path)), True),
    "old-damsm.safetensors": (without_checksum(write_weights), read_damsm, False),
    "old-generator.safetensors": (
        without_checksum(write_generator),
        lambda path: sums(load_generator(path)[0]),
        False,
    ),
    "old-speech.safetensors": (without_checksum(write_speech), lambda path: sums(load_speech_encoder(path)), False),
    "features.npy": (write_features, read_features, True),
    "kept.npz": (
        lambda path: evaluation_cache(path).arrays("", {}, computed),
        lambda path: repr(evaluation_cache(path).arrays("", {}, computed)),
        True,
    ),
    "kept.json": (
        lambda path: evaluation_cache(path).plain("", {}, lambda: {"recall": 12.5}),
        lambda path: repr(evaluation_cache(path).plain("", {}, lambda: {"recall": 12.5})),
        True,
    ),
    "00000000.npz": (write_piece, read_piece, True),
    "captions.pickle": (write_captions, lambda path: repr(cub._captions(path)), False),
    "config.json": (write_run, read_run, False),
    "stats.jsonl": (write_run, read_run, True),
    "checkpoint.safetensors": (write_run, read_run, True),
    "model.json": (write_model_json, lambda path: repr(ModelFolder(path.parent).check()), False),
    "painting.json": (write_painting, lambda path: repr(replay.load(path)), False),
    "results.json": (write_results, lambda path: repr(results.read(path)), False),
}


def read_mutants(name, folder, count, pipe):
    """Read the mutants of a kind of file, and tell through `pipe` of each that is neither whole nor refused."""
    write, read, noticed = KINDS[name]
    path = folder / name
    write(path)
    data, whole = path.read_bytes(), read(path)
    torch.set_num_threads(1)
    before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (before + BYTES, before + BYTES))
    refused = 0
    for seed in range(count):
        pipe.send(seed)
        path.write_bytes(mutant(data, random.Random(seed)))
        signal.alarm(SECONDS)
        try:
            if read(path) != whole and noticed:
                pipe.send(f"seed {seed}: was read as something else")
        except InputError as error:
            refused += 1
            if "\n" in str(error) or name.partition(".")[0].removeprefix("old-") not in str(error):
                pipe.send(f"seed {seed}: {error!r}")
        except BaseException as error:
            pipe.send(f"seed {seed}: {type(error).__name__}: {error}")
        signal.alarm(0)
    pipe.send(SimpleNamespace(refused=refused))


def check(name, folder, count):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=read_mutants, args=(name, folder, count, sender))
    process.start()
    sender.close()
    complaints, last, ended = [], None, None
    while True:
        try:
            told = receiver.recv()
        except EOFError:
            break
        if isinstance(told, int):
            last = told
        elif isinstance(told, str):
            complaints.append(told)
        else:
            ended = told
    process.join()
    assert ended is not None, f"{name}: ended with {process.exitcode} at seed {last}; {complaints}"
    assert not complaints
    return ended.refused


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_as_it_was_or_refused_in_one_line(name, tmp_path):
    check(name, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_hundreds_of_damaged_files_are_read_as_they_were_or_refused_in_one_line(name, tmp_path):
    refused = check(name, tmp_path, 400)
    assert refused > 20 or name in ("kept.npz", "kept.json", "stats.jsonl")  # which are computed anew


def test_mutants_are_many_and_always_the_same():
    data = bytes(range(256)) * 4
    made = [mutant(data, random.Random(seed)) for seed in range(200)]
    assert made == [mutant(data, random.Random(seed)) for seed in range(200)]
    assert len(set(made)) > 150
