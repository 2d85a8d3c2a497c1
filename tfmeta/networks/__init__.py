"""Functions that return ordinary Keras models: the networks of the papers' experiments."""

from tfmeta.networks.recurrent_policy import recurrent_policy
from tfmeta.networks.standard import conv4, mlp

__all__ = ["conv4", "mlp", "recurrent_policy"]
