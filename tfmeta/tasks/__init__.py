"""Distributions of tasks: episodes of labelled images, sinusoids, and how an episode is varied."""
