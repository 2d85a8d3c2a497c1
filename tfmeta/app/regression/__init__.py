"""Training on regression tasks: settings and presets."""
