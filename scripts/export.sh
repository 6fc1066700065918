#!/usr/bin/env bash
# Packs trained weights, halved in precision, into a folder that the other commands can paint with.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i export "$@"
