#!/usr/bin/env bash
# Paints the shipped example recordings, or the given ones, into outputs/demo.
#   scripts/demo.sh [RECORDING ...] [OPTION ...]
# The options are those of scripts/generate.sh, which has a --help of its own.
set -euo pipefail
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit
fi
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
if [[ $# -eq 0 ]]; then
    set -- "$root/pretrained/examples"
fi
"$python" -m s2i.generate --output "$root/outputs/demo" "$@"
echo "the pictures are in $root/outputs/demo"
