#!/usr/bin/env bash
# The gate for every change: style, types, tests. Arguments go to pytest.
set -euo pipefail
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit
fi
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$root"
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
exec scripts/test.sh "$@"
