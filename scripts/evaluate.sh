#!/usr/bin/env bash
# Scores every model on the same captions, or a folder of pictures; the same command goes on where it stopped.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i evaluate "$@"
