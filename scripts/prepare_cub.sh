#!/usr/bin/env bash
# Builds the corpus that training reads, data/cub.h5, from the folder that CUB_ROOT names; --help explains every option.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i prepare "$@"
