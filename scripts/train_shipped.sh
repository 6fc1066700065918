#!/usr/bin/env bash
# Trains a model from nothing, on two CPU cores like the shipped one (hours), or on one GPU a larger one.
#   scripts/train_shipped.sh cpu [FOLDER]
#   scripts/train_shipped.sh gpu [FOLDER]
#   scripts/train_shipped.sh gpu-short        for some minutes of one GPU: from written captions, up to 128 px
#   scripts/train_shipped.sh gpu-short-tiny   the same on drawn birds, to try it anywhere
# FOLDER gets the weights (outputs/model); name pretrained to replace the shipped model. gpu-short stops by itself, after
# 6 minutes of DAMSM and 8 of the generator; its weights stay in runs/, and each further call goes on.
# It reads CUB from the folder that CUB_ROOT names. Run it again after an interruption, it goes on where it was.
# --dry-run prints the commands.
set -euo pipefail
here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)"
source "$here/steps.sh"
if [[ $# -eq 0 ]]; then
    explain >&2
    exit 2
fi
root="$(dirname -- "$here")"
case "$1" in
    cpu) stages=(cpu-64-text cpu-64 cpu-128 cpu-128-both cpu-256 cpu-512) last=runs/gan-512 ;;
    gpu) stages=(gpu-256 gpu-512) last=runs/gan-gpu-512 ;;
    gpu-short)
        step "$here"/prepare_cub.sh --preset small
        step "$here"/train_damsm.sh --preset gpu-short
        step "$here"/train_gan.sh --preset gpu-short
        exit
        ;;
    gpu-short-tiny)
        step "$here"/prepare_cub.sh --preset tiny
        step "$here"/train_damsm.sh --preset tiny
        step "$here"/train_gan.sh --preset gpu-short --corpus "$root/data/tiny.h5" \
            --damsm "$root/runs/tiny-damsm/best.safetensors" --run "$root/runs/tiny-gan-short" --base 16 --widths 8 \
            --discriminator-widths 8 --feature-width 8 --max-width 32 --batch-size 8 --minutes 0.2 --observer none
        exit
        ;;
    *) echo "error: $1: unknown; give cpu, gpu or gpu-short" >&2; exit 2 ;;
esac
step "$here"/prepare_cub.sh
step "$here"/train_damsm.sh
step "$here"/train_sen.sh
for stage in "${stages[@]}"; do
    step "$here"/train_gan.sh --preset "$stage"
done
step "$here"/export.sh --sen "$root/runs/sen/best.safetensors" --damsm "$root/runs/damsm/best.safetensors" \
    --gan "$root/$last/generator.safetensors" --output "${2:-$root/outputs/model}"
