#!/usr/bin/env bash
# Scores the shipped model's largest pictures of test recordings, and draws a grid of them and their details.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i.evaluate --models "" --noise-samples 0 --full-size 2933 --output "$root/outputs/measures.json" "$@"
