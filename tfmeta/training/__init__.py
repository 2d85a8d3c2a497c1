"""The two Keras shells, and whatever touches the inside of Keras."""
