"""The `tfmeta` command and what it does: runs, checkpoints, presets, pretrained learners."""
