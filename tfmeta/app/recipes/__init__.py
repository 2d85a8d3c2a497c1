"""One file for each paper: all that a method sets for `tfmeta train`, for the table of results and for its figures.

To add a method, put a file here that ends in `RECIPES = (Recipe(...),)`. It is then a `--method`, has its presets and
its rows of the tables; no other file knows its name. `tfmeta.app.methods` finds it.
"""
