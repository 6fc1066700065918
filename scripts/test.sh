#!/usr/bin/env bash
# Runs all tests, two at a time, and says which are skipped and why; arguments go to pytest.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$root"
export OMP_NUM_THREADS=1
exec "$python" -m pytest -n 2 --dist loadgroup -rs "$@"
