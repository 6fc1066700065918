#!/usr/bin/env bash
# Paints recordings: scripts/generate.sh recording.wav [more recordings or folders] --output DIR; --help tells the rest.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i generate "$@"
