"""Training agents on trials: settings and presets."""
