#!/usr/bin/env bash
# Serves the page on which people speak or type and watch birds being painted: scripts/app.sh [--port 7860].
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i app "$@"
