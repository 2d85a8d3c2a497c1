#!/usr/bin/env bash
# Train, stop, go on, judge and draw without a line of Python; the first argument is a folder that does not exist yet.
set -euo pipefail
run=${1:-runs/first}
size=${2:-"--epochs 4 --steps-per-epoch 200"}
tfmeta=${TFMETA:-tfmeta}

$tfmeta --version
$tfmeta train --method prototypical --dataset glyphs --n-way 5 --k-shot 1 $size --test-episodes 100 --run-dir "$run"
$tfmeta evaluate "$run" --k-shot 5 --episodes 100
$tfmeta plot "$run"
$tfmeta evaluate prototypical-quickstart --dataset glyphs --episodes 100 # trained on Omniglot, judged on glyphs
