"""Training on regression tasks: presets, and runs in folders of their own."""
