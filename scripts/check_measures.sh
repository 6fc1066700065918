#!/usr/bin/env bash
# Damages photographs in known ways and tells which measures of pictures notice; --help explains every option.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i check-measures "$@"
