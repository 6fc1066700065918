import json
import math
import multiprocessing
import os
import resource
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from attngan.runtime import checkpoint
from attngan.runtime import run as run_module
from attngan.runtime.run import Run, describe, training_loop
from attngan.runtime.training_options import TrainingOptions
from datasets.errors import InputError


@dataclass(frozen=True)
class Options(TrainingOptions):
    pictures: int = 100
    checkpoint_every: int = 20
    log_every: int = 10
    validate_every: int = 50
    width: int = 4
    where: Path = Path("somewhere")

    renamed: ClassVar[dict[str, str]] = {"breadth": "width"}


@pytest.fixture
def begin(tmp_path):
    runs = []

    def make(config=None, kind="job", **more):
        run = Run(tmp_path / "run", kind, config or Options(), **more)
        runs.append(run)
        return run

    yield make
    for run in runs:
        if hasattr(run, "board"):
            run.close()


def stats(run):
    return [json.loads(line) for line in (run.folder / "stats.jsonl").read_text().splitlines()]


def test_the_configuration_is_written_before_the_first_step(begin):
    run = begin()
    assert json.loads((run.folder / "config.json").read_text())["where"] == "somewhere"
    assert not run.checkpoint.exists()


def test_state_position_and_random_state_come_back(begin):
    first = begin()
    assert first.resume() is None
    first.position = 40
    torch.manual_seed(5)
    torch.rand(3)
    first.save({"weights": torch.ones(2), "more": {"x": None}})
    following = torch.rand(3)
    second = begin()
    state = second.resume()
    assert second.position == 40
    assert torch.equal(state["weights"], torch.ones(2))
    assert state["more"] == {"x": None}
    assert torch.equal(torch.rand(3), following)


def test_what_was_logged_after_the_checkpoint_is_dropped(begin):
    first = begin()
    first.resume()
    for position in (10, 20, 30, 40):
        first.position = position
        first.log({"loss": position / 3})
        if position == 20:
            first.log({"validation": 1.0})
            first.save({})
    with open(first.folder / "stats.jsonl", "a") as file:
        file.write('{"position": 1')  # the write that the kill interrupted
    second = begin()
    second.resume()
    assert stats(second) == [
        {"position": 10, "loss": 10 / 3},
        {"position": 20, "loss": 20 / 3},
        {"position": 20, "validation": 1.0},
    ]
    second.position = 30
    second.log({"loss": 10.0})
    assert stats(second)[-1] == {"position": 30, "loss": 10.0}


def test_a_run_that_never_reached_a_checkpoint_begins_anew(begin):
    first = begin()
    first.resume()
    first.position = 10
    first.log({"loss": 1.0})
    second = begin()
    assert second.resume() is None
    assert second.position == 0
    assert stats(second) == []


@pytest.mark.parametrize(("field", "value"), [("width", 5), ("where", Path("elsewhere"))])
def test_another_configuration_is_refused_and_the_field_named(begin, field, value):
    first = begin()
    first.resume()
    first.save({})
    config = (first.folder / "config.json").read_text()
    with pytest.raises(InputError, match=rf"{field} = .* not {value}") as error:
        begin(replace(Options(), **{field: value}))
    assert "\n" not in str(error.value)
    assert (first.folder / "config.json").read_text() == config


@pytest.mark.parametrize(("value", "fits"), [(4, True), (5, False)])
def test_an_option_that_had_another_name_is_compared(begin, value, fits):
    first = begin()
    first.resume()
    first.save({})
    path = first.folder / "config.json"
    path.write_text(path.read_text().replace('"width": 4', f'"breadth": {value}'))
    if fits:
        begin()
    else:
        with pytest.raises(InputError, match="width = 5, not 4"):
            begin()


def test_what_does_not_change_the_result_may_change(begin):
    first = begin()
    first.resume()
    first.save({})
    begin(
        replace(Options(), pictures=200, checkpoint_every=7, log_every=3, validate_every=9, threads=2),
        may_change=("threads",),
    )
    with pytest.raises(InputError, match="threads"):
        begin(replace(Options(), threads=3))


def test_another_configuration_may_begin_where_nothing_was_saved(begin):
    begin()
    assert json.loads((begin(replace(Options(), width=9)).folder / "config.json").read_text())["width"] == 9


def test_a_checkpoint_of_another_job_is_refused(begin):
    first = begin()
    first.resume()
    first.save({})
    with pytest.raises(InputError, match="holds a job, not a tune"):
        begin(kind="tune").resume()


def test_a_damaged_checkpoint_is_refused_and_kept(begin):
    first = begin()
    first.resume()
    first.position = 10
    first.log({"loss": 1.0})
    first.save({"weights": torch.ones(100)})
    data = first.checkpoint.read_bytes()[:-10]
    first.checkpoint.write_bytes(data)
    with pytest.raises(InputError, match="cut off"):
        begin().resume()
    assert first.checkpoint.read_bytes() == data
    assert len(stats(first)) == 1


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written as a folder"):
        Run(tmp_path / "file" / "run", "job", Options())


def test_due_when_a_multiple_was_passed(begin):
    run = begin()
    passed = []
    for position in range(8, 65, 8):
        run.position = position
        if run.due(20, 8):
            passed.append(position)
    assert passed == [24, 40, 64]  # 20, 40 and 60


def drive(run, step, *, every=(), state=dict):
    training_loop(run, iter(range(1000)), step, state, batch_size=10, every=every)


def test_the_loop_logs_acts_and_saves_in_time(begin):
    run = begin()
    run.resume()
    seen, acted = [], []

    def step(batch):
        seen.append((batch, run.position))
        return {"loss": torch.tensor(float(run.position))}

    drive(run, step, every=[(40, lambda: acted.append(run.position))], state=lambda: {"at": run.position})
    assert seen == [(k, 10 * k) for k in range(10)]
    assert [entry["position"] for entry in stats(run)] == list(range(10, 101, 10))
    assert [entry["loss"] for entry in stats(run)] == list(range(0, 100, 10))
    assert acted == [40, 80, 100]  # and at the end
    assert checkpoint.load(run.checkpoint, "job")[0]["at"] == 100


def test_two_actions_may_be_due_as_often_as_each_other(begin):
    run = begin()
    run.resume()
    acted = []
    drive(
        run,
        lambda batch: {},
        every=[
            (50, lambda: acted.append(("grid", run.position))),
            (50, lambda: acted.append(("scores", run.position))),
        ],
    )
    assert acted == [("grid", 50), ("scores", 50), ("grid", 100), ("scores", 100)]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(begin):
    run = begin()
    run.resume()
    with pytest.raises(InputError, match="loss/words is not finite after 50 pictures") as error:
        drive(
            run,
            lambda batch: {"loss": torch.tensor(1.0), "loss/words": torch.tensor(math.nan if batch > 3 else 1.0)},
            state=lambda: {"at": run.position},
        )
    assert "\n" not in str(error.value)
    assert checkpoint.load(run.checkpoint, "job")[0]["at"] == 40
    assert stats(run)[-1]["position"] == 40


def test_a_loss_that_is_not_finite_is_seen_before_anything_is_measured(begin):
    # Validation and saving must not meet broken weights, whether or not the step is one that is logged.
    run = begin(Options(checkpoint_every=1000, log_every=1000))
    run.resume()
    measured = []
    with pytest.raises(InputError, match="not finite"):
        drive(run, lambda batch: {"loss": torch.tensor(math.inf)}, every=[(50, lambda: measured.append(run.position))])
    assert measured == []


def test_a_finished_run_does_nothing_more(begin):
    run = begin()
    run.resume()
    run.position = 100
    drive(run, lambda batch: pytest.fail("stepped"))


def test_the_description_tells_machine_and_command():
    description = describe(Options(), kind="job")
    assert description["config"]["width"] == 4
    assert description["kind"] == "job"
    assert {"machine", "torch", "python", "commit", "command"} <= set(description)
    json.dumps(description)


@dataclass(frozen=True)
class Limited(Options):
    minutes: float = 1.0


def test_a_run_stops_after_some_minutes_and_goes_on_where_it_was(begin, monkeypatch):
    clock = iter(range(0, 10_000, 25))  # 25 s between two looks at it; a minute is over at the third step
    monkeypatch.setattr(run_module.time, "monotonic", lambda: next(clock))
    run = begin(Limited())
    run.resume()
    acted = []
    drive(run, lambda batch: {}, every=[(1000, lambda: acted.append(run.position))], state=lambda: {"at": run.position})
    assert acted == [30]  # as at the end
    assert checkpoint.load(run.checkpoint, "job")[0]["at"] == 30
    run.close()
    again = begin(Limited(minutes=0))  # which is no other configuration
    assert again.resume()["at"] == 30
    drive(again, lambda batch: {})
    assert again.position == 100


# --- what may go wrong beside the training


def hold(folder, ready):
    run = Run(folder, "job", Options())
    run.resume()
    ready.set()
    signal.pause()


def test_two_processes_do_not_train_in_one_folder(begin, tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "run", ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(InputError, match=rf"^{tmp_path}/run: another process is training in it; wait .* --run folder$"):
        begin(replace(Options(), width=5))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["width"] == 4
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert begin().resume() is None  # the kernel gave the lock back


def test_a_run_that_an_error_ended_is_taken_over_by_the_same_process(begin):
    first = begin()
    first.resume()
    with pytest.raises(InputError) as held:  # which keeps the first run alive
        drive(first, lambda batch: {"loss": torch.tensor(math.nan)})
    begin().resume()
    assert "not finite" in str(held.value)


def test_what_a_kill_left_half_written_is_removed(begin, tmp_path):
    (tmp_path / "run").mkdir()
    for name in (".checkpoint.123.tmp.safetensors", ".config.7.tmp.json", ".stats.99.tmp.jsonl"):
        (tmp_path / "run" / name).write_text("half")
    run = begin()
    run.resume()
    run.close()
    assert [path.name for path in run.folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("text", ["[]", "[1, 2]", "3", '"x"', "{", "[" * 100_000, "\udcff"])
def test_a_configuration_that_is_none_is_one_line(begin, text):
    first = begin()
    first.resume()
    first.save({})
    first.close()
    (first.folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(
        InputError, match=r"config\.json: is damaged \(.*\); remove the run folder or use another"
    ) as error:
        begin()
    assert "\n" not in str(error.value)


def test_damaged_lines_of_the_log_are_left_out(begin):
    first = begin()
    first.resume()
    first.position = 10
    first.log({"loss": 0.5})
    first.save({})
    first.close()
    good = (first.folder / "stats.jsonl").read_bytes()
    bad = [b"\xff\xfe", b"[1]", b"3", b'{"position": "10"}', b'{"position": 1e999}', b"[" * 90_000, b'{"loss": 1}']
    (first.folder / "stats.jsonl").write_bytes(b"\n".join([*bad, good]) + b"0" * 300_000)
    second = begin()
    second.resume()
    assert (second.folder / "stats.jsonl").read_bytes() == good


def log_until(run, position):
    for run.position in range(position):
        run.log({"loss": 0.5})


@pytest.mark.parametrize("grows", ["stats.jsonl", "events of TensorBoard"])
def test_a_full_disk_is_one_line_wherever_it_shows(begin, grows, monkeypatch):
    printed = []
    monkeypatch.setattr(threading, "excepthook", printed.append)
    run = begin()
    run.resume()
    if grows != "stats.jsonl":
        run._stats.close()
        run._stats = open(os.devnull, "w")  # noqa: SIM115 (`close` closes it)
    expected = rf"^{run.folder}: cannot be written \(File too large\); free some space$"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))  # as good as full: writing more fails
    try:
        with pytest.raises(InputError, match=expected):
            log_until(run, 200_000)
        run.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert printed == []
    assert threading.excepthook == printed.append
