"""`python -m tfmeta` is the `tfmeta` command."""

from tfmeta.app.cli import main

if __name__ == "__main__":
    main()
