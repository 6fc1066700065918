#!/usr/bin/env bash
# Paints the way from one spoken description to another: morph.sh ONE.wav OTHER.wav; --help explains every option.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i morph "$@"
