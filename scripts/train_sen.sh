#!/usr/bin/env bash
# Second training: speech against the picture features of DAMSM. The same command again goes on where it stopped.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i train-sen "$@"
