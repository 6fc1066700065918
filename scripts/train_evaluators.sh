#!/usr/bin/env bash
# Trains what pictures are scored by, and packs it: a held-out judge and a classifier; goes on where it stopped.
#   scripts/train_evaluators.sh [CORPUS]
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
corpus="${1:-data/cub.h5}"
# Other seed, cell, resolution and network than the encoder that generators are trained with, and half of the captions.
"$python" -m s2i.train_damsm --corpus "$corpus" --run runs/judge --captions odd --cell gru --size 96 --width 24 \
  --blocks 2 2 2 2 --seed 7 --pictures 200000 --validate-every 40000
"$python" -m s2i.train_classifier --corpus "$corpus" --run runs/classifier --pictures 200000
"$python" -m s2i.export_evaluators --corpus "$corpus"
