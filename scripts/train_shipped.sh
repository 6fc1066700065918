#!/usr/bin/env bash
# Trains the shipped model from nothing to pretrained/, or on one GPU a larger one; run it again after an interruption.
#   scripts/train_shipped.sh cpu | gpu
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
kind="${1:-cpu}"
case "$kind" in
  cpu) stages=(cpu-64-text cpu-64 cpu-128 cpu-128-both cpu-256 cpu-512); last=runs/gan-512 ;;
  gpu) stages=(gpu-256 gpu-512); last=runs/gan-gpu-512 ;;
  *) echo "error: $kind: unknown; give cpu or gpu" >&2; exit 2 ;;
esac
"$here/prepare_cub.sh"
"$here/train_damsm.sh"
"$here/train_sen.sh"
for stage in "${stages[@]}"; do
  "$here/train_gan.sh" --preset "$stage"
done
"$here/export.sh" --sen runs/sen/best.safetensors --damsm runs/damsm/best.safetensors \
  --gan "$last/generator.safetensors" --output pretrained
