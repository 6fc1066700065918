#!/usr/bin/env bash
# Makes a model of AttnGAN's published weights: import_attngan.sh netG.pth text_encoder200.pth image_encoder200.pth captions.pickle.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
exec "$python" -m s2i import-attngan "$@"
