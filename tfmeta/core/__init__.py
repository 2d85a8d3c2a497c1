"""The mathematics of meta-learning on plain tensors. Imports nothing of the other folders."""
