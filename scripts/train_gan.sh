#!/usr/bin/env bash
# Third training: the generator. The same command again goes on where it stopped.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i train-gan "$@"
