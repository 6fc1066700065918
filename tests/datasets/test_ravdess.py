import os
from pathlib import Path

import pytest

from datasets import ravdess
from tests import helpers

REAL = ravdess.default_root()


def touch(root, *names):
    """Empty files, since only names are looked at; NN-...-AA goes into Actor_AA unless a folder is named."""
    for name in names:
        path = root / name if "/" in name else root / f"Actor_{Path(name).stem[-2:]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def everybody():
    return [f"03-01-05-02-02-01-{actor:02}.wav" for actor in range(1, 25)]


def refused(root, *words):
    helpers.refused(lambda: ravdess.read(root), *words)


def test_a_name_tells_everything(tmp_path):
    found = ravdess.read(touch(tmp_path, "03-01-06-02-01-02-12.wav"))
    (one,) = found.recordings
    assert ravdess.EMOTIONS[one.emotion] == "fearful"
    assert (one.intensity, one.statement, one.repetition, one.actor) == (1, 0, 1, 12)
    assert ravdess.VOICES[one.voice] == "female"
    assert one.path == tmp_path / "Actor_12" / "03-01-06-02-01-02-12.wav"


def test_odd_actors_are_men(tmp_path):
    voices = [ravdess.VOICES[one.voice] for one in ravdess.read(touch(tmp_path, *everybody())).recordings]
    assert voices == ["male", "female"] * 12


def test_recordings_are_sorted_by_name_and_any_format_is_taken(tmp_path):
    names = ["03-01-02-01-01-01-02.flac", "03-01-01-01-01-01-03.WAV", "03-01-03-01-01-01-01.wav"]
    assert [one.emotion for one in ravdess.read(touch(tmp_path, *names)).recordings] == [0, 1, 2]


def test_a_whole_folder_has_nothing_to_remark(tmp_path):
    found = ravdess.read(touch(tmp_path, *everybody(), "Actor_01/._03-01-05-02-02-01-01.wav", "Actor_01/notes.txt"))
    assert found.remarks == []
    assert found.actors == list(range(1, 25))


def test_missing_actors_are_told(tmp_path):
    found = ravdess.read(touch(tmp_path, *everybody()[:22]))
    assert len(found.recordings) == 22
    (remark,) = found.remarks
    assert "actors 23, 24 missing" in remark
    assert "22" in remark


def test_song_is_skipped_and_told(tmp_path):
    songs = [f"03-02-0{k}-01-01-01-01.wav" for k in range(1, 6)]
    found = ravdess.read(touch(tmp_path, *everybody(), *songs))
    assert len(found.recordings) == 24
    (remark,) = found.remarks
    assert "5 song recordings" in remark
    assert songs[0] in remark
    assert "2 more" in remark
    assert songs[4] not in remark


def test_a_second_copy_would_leak_into_the_test_and_is_left_out(tmp_path):
    found = ravdess.read(touch(tmp_path, *everybody(), f"audio_speech/Actor_01/{everybody()[0]}"))
    assert len(found.recordings) == 24
    assert "1 second copies" in found.remarks[0]


@pytest.mark.parametrize(
    "name",
    [
        "hello.wav",
        "03-01-05-02-02-01.wav",
        "03-01-09-02-02-01-01.wav",
        "03-01-00-01-01-01-01.wav",
        "03-01-01-02-01-01-01.wav",
        "03-01-05-02-02-03-01.wav",
        "03-01-05-02-02-01-25.wav",
        "03_01_05_02_02_01_01.wav",
        "3-1-5-2-2-1-1.wav",
    ],
)
def test_names_that_do_not_follow_the_scheme_are_named(tmp_path, name):
    touch(tmp_path, *everybody(), f"Actor_01/{name}")
    refused(tmp_path, tmp_path, f"Actor_01/{name}", "03-01-EE-II-SS-RR-AA", "rename")


def test_a_recording_in_the_folder_of_another_actor_is_named(tmp_path):
    refused(touch(tmp_path, "Actor_02/03-01-05-02-02-01-01.wav"), "Actor_02/03-01-05-02-02-01-01.wav")


def test_many_strange_names_are_counted(tmp_path):
    refused(touch(tmp_path, *[f"Actor_01/take{k}.wav" for k in range(9)]), "take0.wav", "6 more")


def test_folders_without_speech_are_refused(tmp_path):
    refused(tmp_path / "none", tmp_path / "none", "RAVDESS_ROOT")
    refused(tmp_path, tmp_path, "no recordings")
    refused(touch(tmp_path, "03-02-01-01-01-01-01.wav"), "only song")


def test_the_environment_names_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RAVDESS_ROOT", str(tmp_path))
    assert ravdess.default_root() == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAVDESS_ROOT", "voices")
    assert ravdess.default_root() == tmp_path / "voices"


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no RAVDESS at {REAL}; set RAVDESS_ROOT")
def test_the_real_thing():
    found = ravdess.read(REAL)
    assert len(found.recordings) == 60 * len(found.actors)
    if len(found.actors) == ravdess.ACTORS:
        assert len(found.recordings) == 1440
        counts = [sum(one.emotion == k for one in found.recordings) for k in range(8)]
        assert counts == [96] + [192] * 7
        assert os.path.exists(found.recordings[0].path)
