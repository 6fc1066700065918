#!/usr/bin/env bash
# Measures a trained model on the test recordings and draws a grid of what it painted.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i.evaluation.measure "$@"
