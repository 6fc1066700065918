import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = f"""#!/usr/bin/env bash
# The real Python; what it makes sees the packages that are installed here, and notes when it began and ended.
if [[ $1 == -m && $2 == venv ]]; then
    echo begin >>"$NOTES"
    "{sys.executable}" "$@" || exit
    echo "{sysconfig.get_path("purelib")}" >"$(echo "${{@: -1}}"/lib/python*/site-packages)/these.pth"
    echo end >>"$NOTES"
else
    exec "{sys.executable}" "$@"
fi
"""


def begin(folder, *, path=None):
    environment = {**os.environ, "PYTHON": str(folder / "python"), "NOTES": str(folder / "notes")}
    if path:
        environment["PATH"] = path
    command = ["bash", "-c", 'set -euo pipefail; source scripts/setup.sh; "$python" -c "print(1 + 1)"']
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "scripts")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


@pytest.mark.slow
def test_first_runs_at_the_same_time_set_up_once(checkout):
    ended = [(*process.communicate(), process.returncode) for process in [begin(checkout) for _ in range(3)]]
    assert [(told, code) for told, _, code in ended] == [("2\n", 0)] * 3, ended
    assert (checkout / "notes").read_text().split() == ["begin", "end"]
    assert sum("another process is setting up" in complaint for _, complaint, _ in ended) == 2


@pytest.mark.slow
def test_it_sets_up_without_a_flock_command(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "cksum", "dirname", "env", "uname"):
        (tools / name).symlink_to(shutil.which(name) or name)
    process = begin(checkout, path=str(tools))
    told, complaint = process.communicate()
    assert (told, process.returncode) == ("2\n", 0), complaint


@pytest.mark.slow
def test_one_that_is_killed_while_it_sets_up_keeps_nobody_waiting(checkout):
    process = begin(checkout)
    while not (checkout / "notes").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    told, complaint = begin(checkout).communicate()
    assert told == "2\n", complaint
