import os
import time

from s2i.app.uploads import Uploads


def test_a_file_goes_when_its_last_session_has_another(tmp_path):
    uploads, (a, b) = Uploads(tmp_path), [tmp_path / name for name in ("a", "b")]
    for path in (a, b):
        path.touch()
    uploads.use("me", a)
    uploads.use("you", a)
    uploads.use("me", b)
    assert a.exists()
    uploads.drop(a)
    assert a.exists()
    uploads.release("you")
    assert not a.exists()
    uploads.release("me")
    uploads.release("nobody")
    assert not b.exists()


def test_nothing_outside_the_folder_is_ever_removed(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "outside"
    inside.mkdir()
    outside.touch()
    uploads = Uploads(inside)
    for path in (outside, inside / ".." / "outside"):
        uploads.use("me", path)
        uploads.release("me")
        uploads.drop(path)
    (inside / "link").symlink_to(outside)
    uploads.drop(inside / "link")
    uploads.sweep(-1)
    assert outside.exists()


def test_what_is_old_is_swept_unless_it_is_shown(tmp_path):
    uploads = Uploads(tmp_path)
    for name in ("x/old", "x/shown", "new"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    uploads.use("me", tmp_path / "x" / "shown")
    for name in ("x/old", "x/shown"):
        os.utime(tmp_path / name, (time.time() - 999,) * 2)
    uploads.sweep()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["new", "shown", "x"]


def test_what_is_kept_stays_however_old_and_often_used(tmp_path):
    uploads, example = Uploads(tmp_path), tmp_path / "x" / "example.flac"
    example.parent.mkdir()
    example.touch()
    uploads.keep()
    (tmp_path / "x" / "new").touch()
    for path in (example, tmp_path / "x" / "new"):
        uploads.use("me", path)
    uploads.release("me")
    uploads.drop(example)
    uploads.sweep(-1)
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["x", "example.flac"]
