#!/usr/bin/env bash
# First training: pictures against captions (DAMSM). The same command again goes on where it stopped.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i train-damsm "$@"
