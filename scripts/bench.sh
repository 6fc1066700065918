#!/usr/bin/env bash
# Measures speed and memory side by side with the published way; --quick only sees that it runs.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" "$root/scripts/bench.py" "$@"
