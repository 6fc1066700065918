#!/usr/bin/env bash
# Prints the emotion in recordings of voices: emotion.sh RECORDING.wav; --help explains every option.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i emotion "$@"
