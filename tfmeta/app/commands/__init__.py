"""The subcommands of `tfmeta`, a file for each subject. A new one is a function here and a line in `tfmeta/app/cli.py`.

A file imports what needs TensorFlow inside its functions, after its own checks: help and mistakes are answered at once.
"""
