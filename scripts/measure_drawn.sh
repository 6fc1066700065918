#!/usr/bin/env bash
# Trains on synthetic birds, of which everything is known, and measures how much of what was said is painted.
#   scripts/measure_drawn.sh [FOLDER]
# FOLDER gets corpus, run folders and figures (runs/drawn). Run it again after an interruption, it goes on where it was.
# --dry-run prints the commands.
set -euo pipefail
scripts="$(dirname -- "${BASH_SOURCE[0]}")"
source "$scripts/steps.sh"
source "$scripts/setup.sh"
folder=${1:-$root/runs/drawn}
birds=(--preset tiny --corpus "$folder/birds.h5")
damsm=(--damsm "$folder/damsm/best.safetensors")
sen=(--sen "$folder/sen/best.safetensors")
matching=(--batch-size 64 --ema-pictures 2000 --validate-every 20000 --checkpoint-every 10000 --log-every 1280)
painting=(--stages 1 --base 64 --widths 16 --max-width 128 --discriminator-widths 24 --discriminator-max-width 192
    --feature-width 32 --augmentation translation --batch-size 16 --pictures 16000 --ema-pictures 1500
    --validate-every 8000 --grid-every 4000 --checkpoint-every 2000 --log-every 640)
step "$python" -m s2i prepare --preset tiny --output "$folder/birds.h5" --short-side 80 \
    --drawn-pictures 4000 --drawn-species 500 --recordings-per-picture 2
step "$python" -m s2i train-damsm "${birds[@]}" --run "$folder/damsm" --pictures 80000 --size 64 --width 16 "${matching[@]}"
step "$python" -m s2i train-sen "${birds[@]}" --run "$folder/sen" "${damsm[@]}" --pictures 40000 --width 80 --hidden 96 \
    "${matching[@]}"
step "$python" -m s2i train-gan "${birds[@]}" --run "$folder/gan" "${damsm[@]}" "${sen[@]}" "${painting[@]}"
step "$python" -m s2i train-gan "${birds[@]}" --run "$folder/gan-text" "${damsm[@]}" "${painting[@]}" --condition text
step "$python" -m s2i evaluate-synthetic --corpus "$folder/birds.h5" "${damsm[@]}" "${sen[@]}" --gan "$folder/gan/generator.safetensors" \
    --text-gan "$folder/gan-text/generator.safetensors" --reader "$folder/reader.safetensors" --output "$folder/drawn.json"
