import dataclasses
import fcntl
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from datasets import audio, channels, corpus, engines, prepare, synthesis, voices
from datasets.corpus import Corpus
from datasets.errors import InputError
from datasets.loader import Loader
from datasets.prepare import PrepareConfig

DRAWN = [
    *("--preset", "tiny", "--drawn-pictures", "30", "--drawn-species", "6", "--short-side", "32"),
    *("--recordings-per-picture", "1", "--measuring-recordings-per-picture", "1", "--workers", "1"),
]


def contents(path):
    """Everything that is in the HDF5 file, by name."""
    found = {}
    with h5py.File(path) as file:
        found.update(file.attrs)
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in found.items()}


def equal(a, b):
    assert sorted(a) == sorted(b)
    for name in a:
        np.testing.assert_equal(a[name], b[name], err_msg=name)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "drawn.h5"
    prepare.main([*DRAWN, "--output", str(path)])
    return path


def test_drawn_birds(drawn):
    corpus = Corpus(drawn)
    assert [len(corpus.pictures_of(split)) for split in ("train", "validation", "test")] == [20, 5, 5]
    assert len(corpus.captions) == 300
    # One recording a training picture in a heard voice, one a validation picture in a voice for that alone, and for a
    # test picture one in a heard and one in an unheard voice.
    assert len(corpus.recording_picture) == 20 + 5 + 2 * 5
    heard = corpus.voice_heard[corpus.recording_voice]
    split = corpus.split[corpus.recording_picture]
    assert heard[split == 0].all()
    assert heard[split == 2].reshape(-1, 2).tolist() == [[True, False]] * 5
    spoken = [{corpus.voice_names[voice] for voice in corpus.recording_voice[split == k]} for k in range(3)]
    assert {voices.by_name(name).use for name in spoken[1]} == {"validation"}
    assert not spoken[1] & (spoken[0] | spoken[2])
    assert (corpus.caption_picture[corpus.recording_caption] == corpus.recording_picture).all()
    assert [path.name for path in drawn.parent.iterdir()] == ["drawn.h5"]
    for number in (0, 12, 34):
        voice = voices.by_name(corpus.voice_names[corpus.recording_voice[number]])
        text = corpus.captions[corpus.recording_caption[number]]
        seed = int(corpus.recording_seed[number])
        wave = voices.synthesise(voice, text, seed)
        if split[number] == 0:
            wave = channels.vary(wave, seed)
        assert torch.equal(corpus.mel(number), audio.log_mel(wave).half().float())
    assert Loader(corpus, "train", batch_size=4, size=16, speech=True).at(0).pictures.shape == (4, 3, 16, 16)


def test_a_built_corpus_is_not_built_again(drawn, monkeypatch, capsys):
    def never(*arguments, **options):
        raise AssertionError("work was done")

    before = drawn.stat().st_mtime_ns
    for name in ("record", "log_mel_of"):
        monkeypatch.setattr(synthesis, name, never)
    prepare.main([*DRAWN, "--output", str(drawn), "--workers", "2"])
    assert "is there already" in capsys.readouterr().out
    assert drawn.stat().st_mtime_ns == before
    with pytest.raises(AssertionError, match="work was done"):  # another seed is another corpus
        prepare.main([*DRAWN, "--output", str(drawn), "--seed", "1"])
    assert drawn.stat().st_mtime_ns == before


def test_on_the_fly_gives_the_same_recordings(drawn, tmp_path):
    prepare.main([*DRAWN, "--on-the-fly", "--output", str(tmp_path / "live.h5")])
    stored, live = Corpus(drawn), Corpus(tmp_path / "live.h5")
    with h5py.File(live.path) as file:
        assert "recordings/mel" not in file
    for number in (0, 17, 34):
        assert torch.equal(stored.mel(number), live.mel(number).half().float())


@pytest.mark.slow
def test_killed_and_run_again_it_gives_the_same_file(drawn, tmp_path, monkeypatch, capfd):
    path = tmp_path / "drawn.h5"
    code = (
        "from datasets import cli, prepare, synthesis\nsynthesis.PIECE = 4\n"
        "if __name__ == '__main__':\n    cli.run(prepare.main)"
    )
    command = [sys.executable, "-c", code, *DRAWN, "--output", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(3000):
        pieces = sorted(tmp_path.glob(".drawn.*.parts/*.npz"))
        if len([piece for piece in pieces if not piece.name.startswith(".")]) >= 3 or process.poll() is not None:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not path.exists()
    (folder,) = tmp_path.glob(".drawn.*.parts")
    kept = {piece: piece.stat().st_mtime_ns for piece in folder.glob("[0-9]*.npz")}
    assert 3 <= len(kept) < 9
    (tmp_path / f".drawn.{process.pid}.tmp.h5").write_bytes(b"half")  # as if killed while writing the file
    monkeypatch.setattr(synthesis, "PIECE", 4)
    prepare.main([*DRAWN, "--output", str(path), "--workers", "2"])  # by other processes, to the same end
    done = capfd.readouterr()
    assert f"{4 * len(kept)}/35" in done.err  # progress begins with what is there
    assert "estimated" in done.out
    assert "recording/s" not in done.out
    equal(contents(path), contents(drawn))
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_piece_is_resumed_and_others_are_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "PIECE", 15)
    made, original = [], synthesis.log_mel_of

    def counting(recording, name):
        made.append(recording)
        if len(made) == 24 + 20:  # after the estimate's sample, within the second piece
            raise KeyboardInterrupt
        return original(recording, name)

    monkeypatch.setattr(synthesis, "log_mel_of", counting)
    with pytest.raises(KeyboardInterrupt):
        prepare.main([*DRAWN, "--output", str(tmp_path / "x.h5")])
    made.clear()
    monkeypatch.setattr(prepare, "_estimate", lambda *arguments: None)
    prepare.main([*DRAWN, "--output", str(tmp_path / "x.h5")])
    assert len(made) == 35 - 15


def workers_of(process):
    """The process ids of those that make recordings for it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def begin_with_workers(path, **options):
    code = (
        "from datasets import cli, prepare, synthesis\nsynthesis.PIECE = 2\n"
        "if __name__ == '__main__':\n    cli.run(prepare.main)"
    )
    command = [sys.executable, "-c", code, *DRAWN, "--drawn-pictures", "60", "--workers", "2", "--output", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True, **options)
    while not list(path.parent.glob(".drawn.*.parts/[0-9]*.npz")):
        assert process.poll() is None
        time.sleep(0.02)
    return process


@pytest.mark.slow
def test_a_worker_that_dies_is_one_line_and_the_same_command_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "drawn.h5"
    process = begin_with_workers(path, stderr=subprocess.PIPE)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    complaint = process.communicate(timeout=120)[1].splitlines()[-1]
    assert process.returncode == 2
    assert complaint.startswith("error: --workers 2: one that makes recordings was ended, perhaps for want of memory;")
    assert not path.exists()
    monkeypatch.setattr(synthesis, "PIECE", 2)
    prepare.main([*DRAWN, "--drawn-pictures", "60", "--output", str(path)])
    assert len(Corpus(path).recording_picture) > 60
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_command(tmp_path, end):
    process = begin_with_workers(tmp_path / "drawn.h5", stderr=subprocess.DEVNULL)
    workers = workers_of(process)
    assert len(workers) == 2
    process.send_signal(end)
    assert process.wait(60) == (130 if end == signal.SIGINT else -end)
    until = time.monotonic() + 30
    while any(os.path.exists(f"/proc/{worker}") for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:3000] + bytes([data[3000] ^ 1]) + data[3001:],
    ],
)
def test_a_damaged_piece_is_made_again(drawn, tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setattr(synthesis, "PIECE", 20)
    original = corpus.write
    monkeypatch.setattr(corpus, "write", None)  # as if it was stopped before
    with pytest.raises(TypeError):
        prepare.main([*DRAWN, "--output", str(tmp_path / "drawn.h5")])
    monkeypatch.setattr(corpus, "write", original)
    (folder,) = tmp_path.glob(".drawn.*.parts")
    first, _ = sorted(folder.iterdir())
    first.write_bytes(damage(first.read_bytes()))
    (folder / ".00000000.17.tmp.npz").write_bytes(b"half")
    made, make = [], synthesis._record_piece
    monkeypatch.setattr(synthesis, "_record_piece", lambda task: made.append(task[0]) or make(task))
    prepare.main([*DRAWN, "--output", str(tmp_path / "drawn.h5")])
    assert made == [first]
    assert f"{first}: is damaged" in capsys.readouterr().err
    equal(contents(tmp_path / "drawn.h5"), contents(drawn))
    assert [path.name for path in tmp_path.iterdir()] == ["drawn.h5"]


def test_two_builds_of_one_file_do_not_meet(tmp_path):
    with open(tmp_path / ".x.h5.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"x\.h5: is being built by another process; wait until it ends"):
            prepare.main([*DRAWN, "--output", str(tmp_path / "x.h5")])
    prepare.main([*DRAWN, "--on-the-fly", "--output", str(tmp_path / "x.h5")])
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


def test_a_disk_that_is_too_small(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=200_000))
    with pytest.raises(InputError) as caught:
        prepare.main([*DRAWN, "--output", str(tmp_path / "x.h5")])
    assert re.fullmatch(
        rf"{tmp_path}/x\.h5: needs 0\.00 GB while it is built, 0\.00 GB are free; lower --recordings-per-picture, .*",
        str(caught.value),
    )
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_the_way_is_not_overwritten(tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("my notes")
    with pytest.raises(InputError, match=r"x\.h5: is in the way: is not HDF5"):
        prepare.main([*DRAWN, "--output", str(path)])
    assert path.read_text() == "my notes"
    with pytest.raises(InputError, match=r"--output .*: is a folder; name a file in it"):
        prepare.main([*DRAWN, "--output", str(tmp_path)])
    with pytest.raises(InputError, match="cannot be written"):
        prepare.main([*DRAWN, "--output", str(path / "below.h5")])


# --- voices


def test_missing_engines_are_told_and_voices_for_measuring_remain(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(voices, "_installed", lambda engine: "" if engine == "espeak" else None)
    path = tmp_path / "x.h5"
    prepare.main([*DRAWN, "--on-the-fly", "--engines", "espeak", "flite", "festival", "--output", str(path)])
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert warnings == [
        "warning: not installed, so without their voices: flite, festival "
        "(apt-get install flite; apt-get install festival festvox-kallpc16k festvox-kdlpc16k)"
    ]
    corpus = Corpus(path)
    assert {corpus.voice_names[voice].partition("-")[0] for voice in corpus.recording_voice} == {"espeak"}
    assert Loader(corpus, "test", batch_size=2, speech=True, speakers="held-out").indices.tolist() == list(
        corpus.pictures_of("test")
    )


def test_the_engines_are_those_that_there_are():
    assert tuple(voices.INSTALL) == prepare.ENGINES  # which --help cannot ask, since it would import torch


@pytest.mark.parametrize("engines", [["flite"], ["flite", "festival"], []])
def test_no_engine_at_all_is_refused(tmp_path, monkeypatch, engines):
    monkeypatch.setattr(voices, "_installed", lambda engine: "" if engine == "espeak" else None)
    with pytest.raises(InputError, match=f"^--engines {' '.join(engines)}: none is installed; "):
        prepare.main([*DRAWN, "--engines", *engines, "--output", str(tmp_path / "x.h5")])


def test_plan_gives_each_training_caption_different_heard_voices():
    entries = prepare.read_source(PrepareConfig(source="drawn", drawn_pictures=30, drawn_species=6, short_side=32))[0]
    tables, recordings = synthesis.plan(entries, engines=("espeak",), training=3, measuring=0, voices_each=4, seed=0)
    assert len(recordings) == 20 * 3 * 4
    for first in range(0, len(recordings), 4):
        group = recordings[first : first + 4]
        assert len({recording.caption for recording in group}) == 1
        assert len({recording.voice for recording in group}) == 4
        assert all(tables.voice_heard[recording.voice] for recording in group)
        assert all(recording.text == tables.captions[recording.caption] for recording in group)
    assert len({recording.seed for recording in recordings}) == len(recordings)


def test_test_captions_are_spoken_by_three_kinds_of_voices(monkeypatch):
    monkeypatch.setattr(voices, "_has", lambda voice: True)
    entries = prepare.read_source(PrepareConfig(source="drawn", drawn_pictures=40, drawn_species=6, short_side=32))[0]
    options = {"engines": tuple(engines.INSTALL), "training": 2, "voices_each": 1, "seed": 0}
    tables, recordings = synthesis.plan(entries, measuring=1, varied=True, **options)
    kinds = {name: set() for name in ("train", "validation", "test")}
    for recording in recordings:
        kinds[entries[recording.picture].split].add(tables.voice_names[recording.voice])
        assert recording.varied == (entries[recording.picture].split == "train")
    assert {voices.by_name(name).use for name in kinds["train"]} == {"training"}
    assert {voices.by_name(name).use for name in kinds["validation"]} == {"validation"}
    measured = {name for name in kinds["test"] if not voices.by_name(name).heard}
    assert {voices.by_name(name).use for name in measured} == {"measuring"}
    strange = {name for name in measured if voices.by_name(name).engine in ("hts", "piper")}
    assert strange
    assert not any(tables.voice_engine_heard[tables.voice_names.index(name)] for name in strange)


# --- own data


@pytest.fixture
def own(tmp_path):
    """Five pictures, each with a real recording."""
    for number in range(5):
        Image.fromarray(np.full((40, 50, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
        wave = 0.3 * torch.sin(torch.arange(8000 + 1600 * number) * (0.1 + 0.1 * number))
        audio.save(tmp_path / f"{number}.wav", wave)
    return tmp_path


def build_own(folder, header, row):
    lines = [header, *(row.format(number) for number in range(5))]
    (folder / "own.csv").write_text("\n".join(lines))
    output = folder / "out/own.h5"
    prepare.main(["--preset", "own", "--csv", str(folder / "own.csv"), "--output", str(output), "--workers", "1"])
    return Corpus(output)


@pytest.mark.parametrize("with_captions", [True, False])
def test_own_data(own, with_captions):
    if with_captions:
        corpus = build_own(own, "image,recording,caption", "{0}.png,{0}.wav,bird {0}")
    else:
        corpus = build_own(own, "image,recording", "{0}.png,{0}.wav")
    assert corpus.voice_names == ["own"]
    assert corpus.voice_heard.tolist() == [True]
    assert corpus.captions == ([f"bird {number}" for number in range(5)] if with_captions else [])
    assert corpus.recording_caption.tolist() == (list(range(5)) if with_captions else [-1] * 5)
    assert [len(corpus.pictures_of(split)) for split in ("train", "validation", "test")] == [3, 1, 1]
    for number in range(5):
        expected = audio.log_mel(audio.load(own / f"{number}.wav"))
        assert len(expected) == 51 + 10 * number
        assert torch.equal(corpus.mel(number), expected.half().float())
        assert np.abs(np.asarray(corpus.picture(number)).astype(int) - 40 * number).max() <= 1
    batch = Loader(corpus, "train", batch_size=3, size=16, speech=True, speakers="training").at(0)
    assert batch.mels.shape[0] == 3


def test_a_changed_recording_builds_the_corpus_again(own):
    build_own(own, "image,recording", "{0}.png,{0}.wav").close()
    audio.save(own / "1.wav", 0.3 * torch.sin(torch.arange(16000) * 0.5))
    assert len(build_own(own, "image,recording", "{0}.png,{0}.wav").mel(1)) == 101


@pytest.mark.parametrize(
    ("samples", "words"), [(torch.zeros(16000), "is silent"), (torch.rand(16000 * 31) - 0.5, "lasts 31 s")]
)
def test_a_bad_recording_names_its_line(own, samples, words):
    audio.save(own / "3.wav", samples)
    with pytest.raises(InputError) as caught:
        build_own(own, "image,recording", "{0}.png,{0}.wav")
    assert str(caught.value).startswith(f"{own}/own.csv: line 5: {own}/3.wav: ")
    assert words in str(caught.value)


def test_a_broken_picture_shows_before_the_recordings_are_made(own, monkeypatch):
    (own / "4.png").write_bytes((own / "4.png").read_bytes()[:40])
    monkeypatch.setattr(synthesis, "log_mel_of", None)
    with pytest.raises(InputError, match=r"4\.png: is not a picture"):
        build_own(own, "image,recording", "{0}.png,{0}.wav")


# --- options


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--source", "web", "unknown; choose one of cub, csv, drawn"),
        ("--recordings-per-picture", "11", "from 0 to 10"),
        ("--recordings-per-picture", "-1", "from 0 to 10"),
        ("--measuring-recordings-per-picture", "11", "from 0 to 10"),
        ("--voices-per-caption", "0", "from 1 to 20"),
        ("--engines", "siri", "unknown; choose one of espeak, flite, festival"),
        ("--short-side", "31", "from 32 to 2048"),
        ("--short-side", "4096", "from 32 to 2048"),
        ("--validation-species", "0", "from 1 to 149"),
        ("--drawn-pictures", "29", "from 30 to 1e+06"),
        ("--drawn-species", "4", "from 5 to 1000"),
        ("--workers", "0", "from 1 to 256"),
        ("--seed", "-1", "from 0 to"),
        ("--csv", "own.csv", "only used with --source csv"),
        ("--preset", "huge", "choose one of cub, tiny, small, own"),
        ("--pictures", "5", "no such option"),
    ],
)
def test_each_option_out_of_range_is_one_line(option, value, words, capsys):
    with pytest.raises(InputError) as caught:
        prepare.main([option, value])
    message = str(caught.value)
    assert message.startswith(f"{option}{'' if option == '--pictures' else f' {value}'}: ")
    assert words in message
    assert "\n" not in message
    assert capsys.readouterr() == ("", "")


def test_options_that_do_not_go_together():
    with pytest.raises(InputError, match=r"^--csv: missing"):
        PrepareConfig(source="csv")
    with pytest.raises(InputError, match=r"^--on-the-fly: own recordings are read"):
        PrepareConfig(source="csv", csv=Path("own.csv"), on_the_fly=True)


@pytest.mark.slow
def test_the_command_ends_with_one_line_and_code_2(tmp_path):
    command = [sys.executable, "-m", "datasets.prepare", "--cub-root", str(tmp_path), "--output", str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    folder = tmp_path / "CUB_200_2011"
    wanted = "set CUB_ROOT to the folder that holds CUB_200_2011/ and birds/"
    assert done.stderr == f"error: {folder}: not found; {wanted}\n"


def test_cub_root_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("CUB_ROOT", str(tmp_path / "birds"))
    with pytest.raises(InputError, match=f"^{tmp_path}/birds/CUB_200_2011: not found"):
        prepare.main(["--output", str(tmp_path / "x.h5")])
    with pytest.raises(InputError, match=f"^{tmp_path}/else/CUB_200_2011: not found"):
        prepare.main(["--cub-root", str(tmp_path / "else"), "--output", str(tmp_path / "x.h5")])


def test_every_option_is_used():
    used = set(re.findall(r"\bconfig\.(\w+)", inspect.getsource(prepare)))
    assert {field.name for field in dataclasses.fields(PrepareConfig)} <= used
