"""One file per paper: pure functions of one task, and a thin Keras model that calls them."""
