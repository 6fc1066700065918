#!/usr/bin/env bash
# Trains and compares the recognisers of emotion on the RAVDESS that RAVDESS_ROOT names, and the one that is shipped.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i train-emotion "$@"
