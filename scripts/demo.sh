#!/usr/bin/env bash
# Paints the shipped example recordings, or the given ones, into outputs/demo; the options are those of generate.sh.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i demo "$@"
