import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from attngan.runtime import checkpoint
from datasets import cli, recordings
from datasets.errors import InputError
from s2i import generate
from s2i.app import recording
from s2i.model import microphone, model_folder, speech_presence
from s2i.model.session import Session

RATE = 16_000


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.fixture
def run(model, tmp_path, capsys):
    """Run the command on the small model; gives (exit code, lines of stdout, lines of stderr)."""

    def run(*arguments):
        options = ["--model", str(model), "--output", str(tmp_path / "out")]
        try:
            code = generate.main([*map(str, arguments), *options])
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            code = 2
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


def test_every_recording_becomes_a_picture_of_each_size_and_is_told(run, wav, small, tmp_path):
    soundfile.write(wav.with_name("second.flac"), small.hum(500), 44_100)
    code, out, err = run(wav.parent, "--samples", 2)
    files = [f"{name}-{n}-{side}.png" for name in ("bird", "second") for n in (1, 2) for side in (8, 16, 32)]
    assert (code, err) == (0, [])
    assert out == [str(tmp_path / "out" / file) for file in files]
    assert names(tmp_path / "out") == sorted(files)
    assert Image.open(tmp_path / "out" / "bird-2-32.png").size == (32, 32)


def test_the_seed_decides_and_recordings_may_stand_after_options(run, wav, tmp_path):
    code, out, err = run("--no-attention", "--seed", 3, wav)
    first = tmp_path / "out" / "bird-32.png"
    assert (code, out[-1], err) == (0, str(first), [])
    before = first.read_bytes()
    assert run("--seed", 3, wav) == (code, out, err)  # the same picture once more
    assert first.read_bytes() == before


def test_pictures_of_another_seed_lose_none_of_those_before(run, wav, tmp_path):
    run("--seed", 3, wav)
    folder = tmp_path / "out"
    before = (folder / "bird-32.png").read_bytes()
    code, out, err = run("--seed", 4, wav)
    assert (code, out[-1]) == (0, str(folder / "bird-seed4-32.png"))
    assert err == [f"note: {folder / 'bird'}: other pictures have this name; the new ones are called bird-seed4"]
    assert (folder / "bird-32.png").read_bytes() == before
    assert (np.asarray(Image.open(folder / "bird-32.png")) != np.asarray(Image.open(out[-1]))).any()
    assert run("--seed", 4, wav)[1] == out
    (folder / "bird-seed4-8.png").write_text("somebody's notes")
    assert run("--seed", 4, wav)[1][-1] == str(folder / "bird-seed4-2-32.png")
    assert (folder / "bird-seed4-8.png").read_text() == "somebody's notes"
    assert len(names(folder)) == 9


def test_pictures_land_where_the_caller_is(model, wav, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert generate.main([str(wav), "--model", str(model)]) == 0
    assert names(tmp_path / "outputs") == ["bird-16.png", "bird-32.png", "bird-8.png"]
    assert capsys.readouterr().out.splitlines()[0] == "outputs/bird-8.png"


def test_every_text_is_painted_and_its_words_are_drawn(talking, run, tmp_path):
    code, out, err = run("--text", "a small yellow bird", "--text", "red wings", "--attention")
    assert (code, err) == (0, [])
    drawn = [f"{name}-{kind}.png" for name in ("a-small-yellow-bird", "red-wings") for kind in (8, 16, 32, "attention")]
    assert [Path(line).name for line in out] == drawn
    for line in (out[3], out[7]):
        assert Image.open(line).width > 1000


def test_attention_adds_a_figure(run, wav, tmp_path):
    code, out, _ = run(wav, "--attention")
    assert code == 0
    assert out[-1] == str(tmp_path / "out" / "bird-attention.png")
    assert Image.open(out[-1]).width > 1000


def test_what_holds_no_speech_is_told_and_painted_only_by_force(run, wav, tmp_path):
    tone = wav.with_name("tone.wav")
    soundfile.write(tone, 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE), RATE)
    code, out, err = run(tone, wav)
    assert code == 2
    (line,) = err
    assert str(tone) in line
    assert "holds no speech" in line
    assert "--force" in line
    assert [Path(path).name for path in out] == [f"bird-{side}.png" for side in (8, 16, 32)]
    code, out, err = run(tone, "--force")
    assert (code, err) == (0, [])
    assert Path(out[-1]).name == "tone-32.png"


def spoil(kind, path, small):
    """Make `path` a recording that is bad in one way."""
    good = small.hum(300)
    if kind == "missing":
        return
    if kind in ("empty", "random", "text"):
        data = {"empty": b"", "random": np.random.default_rng(0).bytes(9000), "text": b"a blue bird\n" * 99}
        path.write_bytes(data[kind])
    elif kind == "header":
        soundfile.write(path, good, RATE)
        path.write_bytes(path.read_bytes()[:20])
    elif kind == "nan":
        good[100] = np.nan
        soundfile.write(path, good, RATE, subtype="FLOAT")
    else:
        wave = {"silent": 0 * good, "short": good[: RATE // 5], "long": small.hum(300, 31)}[kind]
        soundfile.write(path, wave, RATE)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("missing", "not found"),
        ("empty", "empty"),
        ("random", "known format"),
        ("text", "text file"),
        ("header", "header"),
        ("nan", "not numbers"),
        ("silent", "silent"),
        ("short", "at least 0.3 s"),
        ("long", "at most 30 s"),
    ],
)
def test_of_several_recordings_one_bad_the_good_ones_are_painted(run, wav, small, tmp_path, kind, word):
    bad, last = tmp_path / f"{kind}.wav", tmp_path / "last.wav"
    spoil(kind, bad, small)
    shutil.copy(wav, last)
    code, out, err = run(wav, bad, last)
    assert code == 2
    assert [Path(line).name for line in out] == [f"{n}-{side}.png" for n in ("bird", "last") for side in (8, 16, 32)]
    assert len(err) == 1
    assert err[0].startswith(f"error: {bad}: ")
    assert word in err[0]


def test_every_bad_recording_gets_its_own_line(run, tmp_path):
    empty = tmp_path / "empty folder"
    empty.mkdir()
    (empty / "notes.txt").write_text("no sound")
    code, out, err = run(tmp_path / "missing.wav", empty)
    assert (code, out) == (2, [])
    assert "missing.wav" in err[0]
    assert str(empty) in err[1]
    assert "no recordings" in err[1]
    assert len(err) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--samples", "0"], ["--samples 0", "from 1 to 100"]),
        (["--samples", "101"], ["--samples 101"]),
        (["--samples", "many"], ["--samples", "many"]),
        (["--seed", "-1"], ["--seed -1", "at least 0"]),
        (["--colour", "red"], ["--colour"]),
        (["--samples"], ["--samples"]),
    ],
)
def test_bad_options_are_refused_in_one_line(run, wav, tmp_path, arguments, words):
    with pytest.raises(InputError) as caught:
        generate.main([str(wav), "--output", str(tmp_path / "out"), *arguments])
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_recording_at_all_is_refused(run):
    code, _, err = run()
    assert code == 2
    assert "recordings" in err[0]


def test_an_output_folder_that_cannot_be_written_is_refused(model, wav, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="cannot be written") as caught:
            generate.main([str(wav), "--model", str(model), "--output", str(output)])
        assert str(output) in str(caught.value)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_leaves_what_was_saved_and_nothing_half(run, wav, tmp_path):
    assert run(wav)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    # Only the smallest pictures fit below this size, as on a disk that has so much room left.
    room = sum(len(before[tmp_path / "out" / f"bird-{side}.png"]) for side in (8, 16)) // 2
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        code, out, err = run(wav, "--seed", 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, out) == (2, [])
    assert len(err) == 2
    assert "bird-seed1-16.png: cannot be written" in err[1]
    assert names(tmp_path / "out") == sorted([*(path.name for path in before), "bird-seed1-8.png"])
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_bad_model_is_refused_before_anything_is_painted(run, model, wav, tmp_path):
    path = model / "generator.safetensors"
    good = path.read_bytes()
    state, about = checkpoint.load(path, "generator")
    path.write_bytes(good[:-100])
    cases = ["cut off"]
    results = [run(wav)]
    path.unlink()
    results.append(run(wav))
    cases.append("not found")
    checkpoint.save(path, state, {**about, "format": 99})
    results.append(run(wav))
    cases.append("format 99")
    checkpoint.save(path, state, {**about, "kind": "damsm-weights"})
    results.append(run(wav))
    cases.append("damsm-weights")
    checkpoint.save(path, state, {**about, "generator": {**about["generator"], "base": 16}})
    results.append(run(wav))
    cases.append("another size")
    for (code, out, err), word in zip(results, cases, strict=True):
        assert (code, out, len(err)) == (2, [], 1)
        assert str(path) in err[0]
        assert word in err[0]
    assert names(tmp_path / "out") == []


def test_recordings_that_are_called_alike_do_not_overwrite_each_other(run, wav, tmp_path):
    others = [wav.with_name("bird.flac"), tmp_path / "more" / "bird.wav", tmp_path / "more" / "BIRD.ogg"]
    others[1].parent.mkdir()
    for other in others:
        wave, rate = soundfile.read(wav)
        soundfile.write(other, wave, rate)
    code, out, _ = run(wav, *others, wav)
    assert code == 0
    assert len(out) == len({line.casefold() for line in out}) == 4 * 3


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["x/a.wav", "x/b.wav"], ["a", "b"]),
        (["x/a.wav", "x/a.mp3"], ["a-wav", "a-mp3"]),
        (["x/a.wav", "y/a.wav"], ["x-a", "y-a"]),
        (["x/a.wav", "y/a.wav", "y/a.mp3"], ["x-a-wav", "y-a-wav", "y-a-mp3"]),
        (["p/x/a.wav", "q/x/a.wav"], ["a", "a-2"]),
        (["x/a.wav", "x/a.mp3", "x/a-wav.wav"], None),
        (["x/a.wav", "y/a.wav", "z/a-2.wav", "x/x-a.wav"], None),
        (["x/a.wav", "x/./a.wav"], ["a"]),
        (["x/" + "å" * 120 + ".wav"], ["å" * 75]),
    ],
)
def test_names(paths, wanted):
    named = list(recordings.name_apart(map(Path, paths)).values())
    assert len({name.casefold() for name in named}) == len(named)
    if wanted is not None:
        assert named == wanted


def test_help_explains_every_option_without_waiting_for_torch():
    command = [sys.executable, "-X", "importtime", "-m", "s2i.generate", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for word in ("--output", "--samples", "--seed", "--attention", "--model", "default: 1", "default: outputs"):
        assert word in " ".join(done.stdout.replace("│", " ").split())
    assert " torch\n" not in done.stderr


def test_the_command_ends_with_code_2_and_one_line(wav, model, tmp_path):
    command = [sys.executable, "-m", "s2i.generate", str(wav), "--model", str(model / "x"), "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_defaults_lie_in_the_checkout_and_given_paths_where_the_user_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = cli.parse_tool(generate.GenerateConfig, ["--samples", "2", "a.wav", "--output=pictures"], description="")
    assert config.model == cli.repository() / "pretrained"
    assert (config.output, config.recordings) == (Path("pictures"), (Path("a.wav"),))
    monkeypatch.chdir(cli.repository())
    assert cli.parse_tool(generate.GenerateConfig, [], description="").model == Path("pretrained")
    elsewhere = generate.GenerateConfig(model=cli.repository() / "pretrained")
    assert cli.as_json(elsewhere) == cli.as_json(generate.GenerateConfig())


def test_text_is_painted_without_speech(run, talking, tmp_path):
    code, out, err = run("--text", "a small yellow bird with zorp wings")
    assert code == 0
    assert [Path(line).name for line in out] == [
        f"a-small-yellow-bird-with-zorp-wings-{side}.png" for side in (8, 16, 32)
    ]
    assert "zorp" in err[0]
    assert run("--text", "желтая птица")[:2] == (2, [])


def test_the_microphone_is_painted(run, small, monkeypatch):
    monkeypatch.setattr(microphone, "record", lambda: torch.from_numpy(small.hum(300)))
    code, out, _ = run("--microphone")
    assert code == 0
    assert len(out) == 3
    assert all(Path(line).name.startswith("spoken-") for line in out)


def test_without_a_microphone_there_is_one_line(run, monkeypatch):
    def record():
        raise InputError("microphone: none can be used (no device); plug one in, or give a recording")

    monkeypatch.setattr(microphone, "record", record)
    code, out, err = run("--microphone")
    assert (code, out, len(err)) == (2, [], 1)


def test_a_picture_of_the_page_is_painted_again_bit_for_bit(run, talking, wav, tmp_path):
    session = Session(talking)
    described = session.hear(recording.read(wav))
    pictures = session.paint(described, 11, 3)
    about = tmp_path / "page.json"
    about.write_text(pictures.origins[0].painting.to_json())
    code, out, err = run("--replay", about, wav)
    assert (code, err) == (0, [])
    assert [Path(line).name for line in out] == [f"page-{side}.png" for side in (8, 16, 32)]
    assert (np.asarray(Image.open(out[-1])) == pictures.stages[-1][0]).all()
    assert run("--replay", about)[0] == 2
    about.write_text(about.read_text().replace('"pixels": "', '"pixels": "0'))
    code, out, err = run("--replay", about, wav)
    assert (code, len(out)) == (0, 3)
    assert "differ" in err[0]


@pytest.mark.parametrize("more", [["--text", "a bird"], ["--microphone"], ["--samples", "2"], ["--seed", "1"]])
def test_a_painting_file_stands_alone(run, more):
    code, out, err = run("--replay", "page.json", *more)
    assert (code, out) == (2, [])
    assert "leave out" in err[0]


@pytest.mark.parametrize("seed", ["blue", "1.5", "page.json"])
def test_a_seed_that_is_no_number_is_refused(run, seed):
    code, _, err = run("--seed", seed)
    assert code == 2
    assert "--seed" in err[0]


def test_the_model_is_read_and_checked_once(run, talking, wav, small, monkeypatch):
    descriptions = {name: {} for name in ("speech.safetensors", "generator.safetensors")}
    model_folder.write_manifest(talking, descriptions)
    checked, loaded = [], []
    sha256, load = model_folder.sha256, checkpoint.load
    monkeypatch.setattr(model_folder, "sha256", lambda path: checked.append(path.name) or sha256(path))
    monkeypatch.setattr(checkpoint, "load", lambda path, kind: loaded.append(path.name) or load(path, kind))
    monkeypatch.setattr(microphone, "record", lambda: torch.from_numpy(small.hum(500)))
    assert run("--microphone", "--text", "a red bird", wav)[0] == 0
    assert sorted(checked) == ["damsm.safetensors", "generator.safetensors", "speech.safetensors"]
    loaded = [name for name in loaded if name != speech_presence.WEIGHTS]  # which may be loaded already
    assert sorted(loaded) == ["damsm.safetensors", "generator.safetensors", "speech.safetensors"]


def test_a_picture_is_painted_again_from_itself(run, talking, wav, tmp_path):
    folder = tmp_path / "out"
    code, out, _ = run(wav, "--seed", 5, "--samples", 2)
    pixels = np.asarray(Image.open(folder / "bird-2-32.png"))
    wav.unlink()
    assert code == 0
    code, out, err = run("--replay", folder / "bird-2-16.png", "--attention")
    assert (code, out[-1]) == (0, str(folder / "bird-2-32.png"))
    assert err == ["note: --attention needs the recording, to show its segments; name it as well"]
    assert (np.asarray(Image.open(out[-1])) == pixels).all()
    copy = tmp_path / "copy.png"
    shutil.copy(folder / "bird-2-32.png", copy)
    assert [Path(line).name for line in run("--replay", copy)[1]] == [f"copy-{side}.png" for side in (8, 16, 32)]
    assert run("--replay", copy, "--half")[0] == 2
    (folder / "plain.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, err = run("--replay", folder / "plain.png")
    assert (code, out, len(err)) == (2, [], 1)


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "tables" / "birds.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_manifest_names_recordings_seeds_and_outputs(run, talking, wav, table, tmp_path):
    path = table(
        "recording,seed,output,text\n"
        "../recordings/bird.wav,4,red/first,\n"
        "../recordings/bird.wav,5,second.png,\n"
        "../recordings/bird.wav,,,\n"
        ",6,words.PNG,a red bird\n"
        ",,,a red bird\n"
    )
    code, out, err = run("--manifest", path, "--seed", 9)
    folder = tmp_path / "out"
    wanted = ["red/first-8.png", "red/first-16.png", "red/first-32.png", "second.png"]
    wanted += [f"bird-{side}.png" for side in (8, 16, 32)] + ["words.png"]
    wanted += [f"a-red-bird-{side}.png" for side in (8, 16, 32)]
    assert (code, out, err) == (0, [str(folder / name) for name in wanted], [])
    code, out, _ = run(wav, "--seed", 5)
    assert (np.asarray(Image.open(out[-1])) == np.asarray(Image.open(folder / "second.png"))).all()
    assert Image.open(folder / "bird-32.png").text["Seed"] == "9"
    assert run("--manifest", path, "--seed", 9)[1] == [str(folder / name) for name in wanted]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no rows"]),
        ("recording,seed\n", ["no rows"]),
        ("recording,colour\nbird.wav,red\n", ["column 'colour'"]),
        ("recording\nnone.wav\n", ["line 2", "none.wav", "not found"]),
        ("recording,text\nrecordings/bird.wav,a bird\n", ["line 2", "one of the two"]),
        ("recording,seed\nrecordings/bird.wav,1\n,2\n", ["line 3", "neither"]),
        ("recording,seed\nrecordings/bird.wav,-1\n", ["line 2", "seed -1"]),
        ("recording,seed\nrecordings/bird.wav,1.5\n", ["seed 1.5"]),
        ("recording,seed\nrecordings/bird.wav,99999999999999999999\n", ["seed 9999"]),
        ("recording,output\nrecordings/bird.wav,../x.png\n", ["outside"]),
        ("recording,output\nrecordings/bird.wav,/tmp/x.png\n", ["outside"]),
        ("recording,output\nrecordings/bird.wav,a\nrecordings/bird.wav,A\n", ["line 3", "output A", "line 2"]),
        ("recording,output\nrecordings/bird.wav,.\n", ["outside"]),
    ],
)
def test_a_bad_manifest_is_refused_before_anything_is_painted(run, wav, tmp_path, text, words):
    path = tmp_path / "birds.csv"
    path.write_text(text)
    code, out, err = run(wav, "--manifest", path)
    assert (code, out, len(err)) == (2, [], 1)
    assert str(path) in err[0]
    for word in words:
        assert word in err[0]
    assert not (tmp_path / "out").exists()


def test_of_a_manifest_with_a_bad_recording_the_others_are_painted(run, wav, table, tmp_path):
    (wav.parent / "bad.wav").write_bytes(b"no sound at all")
    path = table("recording,output\n../recordings/bad.wav,one.png\n../recordings/bird.wav,two.png\n")
    code, out, err = run("--manifest", path)
    assert (code, out, len(err)) == (2, [str(tmp_path / "out" / "two.png")], 1)
    assert err[0].startswith(f"error: {path}: line 2: ")


def test_json_tells_everything_in_lines(run, talking, wav, tmp_path):
    code, out, err = run(wav, tmp_path / "none.wav", "--text", "a red bird of zorp", "--seed", 3, "--json")
    lines = [json.loads(line) for line in out]
    assert code == 2
    painted = {line["source"]: line for line in lines if "source" in line}
    assert set(painted) == {str(wav), "a red bird of zorp"}
    assert painted[str(wav)] == {
        "source": str(wav),
        "seed": 3,
        "files": [str(tmp_path / "out" / f"bird-{side}.png") for side in (8, 16, 32)],
        "notes": [],
    }
    assert "zorp" in painted["a red bird of zorp"]["notes"][0]
    (failed,) = (line for line in lines if "error" in line)
    assert "none.wav" in failed["error"]
    assert len(err) == 2


def test_device_precision_and_short_options(run, model, wav, tmp_path):
    whole, half = tmp_path / "whole", tmp_path / "half"
    for folder, options in ((whole, ["--device", "cpu"]), (half, ["--half"])):
        assert generate.main([str(wav), "-o", str(folder), "--model", str(model), *options]) == 0
    assert generate.main([f"-o={whole}", "--model", str(model), str(wav)]) == 0
    one, other = (np.asarray(Image.open(folder / "bird-32.png")).astype(int) for folder in (whole, half))
    assert 0 < np.abs(one - other).mean() < 4
    assert "bf16-mixed" in Image.open(half / "bird-32.png").text["painting"]
    assert run(wav, "--device", "abacus")[0] == 2
    with pytest.raises(InputError, match="--output"):
        generate.main([str(wav), "-o"])
