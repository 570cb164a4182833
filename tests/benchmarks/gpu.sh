#!/usr/bin/env bash
# What a lent GPU is asked, in at most ten minutes: steps in bf16 and their memory, of both models at real sizes, and of
# the CLIP sharded on one card. From the root of a checkout, where training's dependencies are installed:
#   tests/benchmarks/gpu.sh [FOLDER]
set -euo pipefail
out=${1:-${OUT:-runs/bench/gpu}}
mkdir -p "$out"
timeout 240 python -m tests.benchmarks.gpu_steps clip --output "$out/clip.json"
timeout 240 python -m tests.benchmarks.gpu_steps vlm --output "$out/vlm.json"
timeout 110 accelerate launch --config_file training/accelerate_configs/fsdp.yaml --num_processes 1 \
    -m tests.benchmarks.gpu_steps clip --output "$out/clip_fsdp.json"
cat "$out"/*.json
