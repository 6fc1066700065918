#!/usr/bin/env bash
# Trains what pictures are scored by, a held-out judge and two classifiers, and packs them; goes on where it stopped.
#   scripts/train_evaluators.sh [CORPUS [FOLDER]]
# CORPUS is data/cub.h5 by default. FOLDER gets the weights (outputs/evaluators); name pretrained/evaluators to replace
# the shipped ones. --dry-run prints the commands.
set -euo pipefail
scripts="$(dirname -- "${BASH_SOURCE[0]}")"
source "$scripts/steps.sh"
source "$scripts/setup.sh"
corpus="${1:-$root/data/cub.h5}"
# Other seed, cell, resolution and network than the encoder that generators are trained with, and half of the captions.
step "$python" -m s2i.train_damsm --corpus "$corpus" --run "$root/runs/judge" --trunk scratch --captions odd --cell gru \
    --size 96 --width 24 --blocks 2 2 2 2 --seed 7 --pictures 200000 --validate-every 40000
step "$python" -m s2i.train_damsm --corpus "$corpus" --run "$root/runs/observer-judge" --trunk tf_efficientnet_lite2 \
    --sizes 128 --views 2 --captions odd --cell gru --seed 7 --pictures 100000 --validate-every 20000
step "$python" -m s2i.train_classifier --corpus "$corpus" --run "$root/runs/classifier" --pictures 200000
step "$python" -m s2i.export_evaluators --corpus "$corpus" --classifier "$root/runs/classifier/classifier.safetensors" \
    --judge "$root/runs/judge/best.safetensors" --observer-judge "$root/runs/observer-judge/best.safetensors" \
    --output "${2:-$root/outputs/evaluators}"
# What is fitted to the features of the observer, that no generator is trained against.
step "$python" -m s2i.fit_observer --corpus "$corpus" --output "${2:-$root/outputs/evaluators}"
