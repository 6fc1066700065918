#!/usr/bin/env bash
# Paints the shipped example recordings, or the given ones, into outputs/demo.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
if [[ $# -eq 0 ]]; then
    set -- "$root/pretrained/examples"
fi
"$python" -m s2i.generate --output "$root/outputs/demo" "$@"
echo "the pictures are in $root/outputs/demo"
