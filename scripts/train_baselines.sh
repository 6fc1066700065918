#!/usr/bin/env bash
# Trains every row of the table of results at an equal budget; the same command again goes on where it stopped.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i train-baselines "$@"
