#!/usr/bin/env bash
# The gate for every change: style, types, tests.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$root"
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
exec scripts/test.sh "$@"
