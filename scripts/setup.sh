# Sourced by the other scripts: leaves `root` and `python`, and makes .venv where it is missing or out of date.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
python="$root/.venv/bin/python"
# What lies in the current directory of the user must not be taken for one of our modules.
export PYTHONPATH="$root" PYTHONSAFEPATH=1

_find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.12 python3.11 python3.13 python3.10 python3 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
            >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: no Python 3.10 to 3.13 with venv and pip on PATH; install one, or name it: PYTHON=/path/to/python" >&2
    return 2
}

_imports() {
    "$python" -c 'import h5py, lightning_fabric, matplotlib, nltk, numpy, PIL, pytest, safetensors, scipy, soundfile
import tensorboard, torch, torchaudio, torchvision, tqdm, tyro' >/dev/null 2>&1
}

# Wait until no other process sets up, and keep others waiting until file 9 is closed. The lock is the kernel's, so it ends
# with the process. Python takes it, since macOS has no flock command.
_wait_for_others() {
    "$1" -c 'import fcntl, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print(f"another process is setting up {sys.argv[1]}; waiting for it", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)' "$root/.venv"
}

_is_set_up() {
    [[ -x $python && -f $stamp && $(<"$stamp") == "$wanted" ]]
}

_install() {
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        echo "setting up $root/.venv with $found; this takes some minutes, once" >&2
        "$found" -m venv --clear "$root/.venv" || return
    fi
    local pip=("$python" -m pip --disable-pip-version-check install --requirement "$root/requirements.txt")
    "${pip[@]}" >&2 || { echo "error: pip could not install requirements.txt; see above, then run this again" >&2; return 2; }
    if ! _imports; then # an installation that was interrupted can leave packages that only look complete
        "${pip[@]}" --force-reinstall >&2 || return 2
        _imports || { echo "error: $root/.venv does not work; remove that folder and run this again" >&2; return 2; }
    fi
    printf '%s\n' "$wanted" >"$stamp"
}

_set_up() {
    local wanted stamp="$root/.venv/.requirements" found
    wanted=$(cksum <"$root/requirements.txt") || return
    if _is_set_up; then
        return
    fi
    found=$(_find_python) || return
    exec 9>"$root/.venv.lock" || return
    _wait_for_others "$found" && { _is_set_up || _install; }
    local code=$?
    exec 9>&-
    return "$code"
}

_set_up || exit $?
