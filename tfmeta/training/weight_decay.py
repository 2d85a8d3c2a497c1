"""Keep an optimizer's weight decay away from variables that are learned but are not weights of a network."""

from __future__ import annotations

import keras


def spare(variables: list[keras.Variable], optimizer: keras.optimizers.Optimizer) -> None:
    """Let weight decay pass over these variables, besides those that the user has exempted.

    Args:
        variables: learned inner rates, say, which decay would draw to 0.
        optimizer: with or without weight decay, built or not.

    References:
        Loshchilov, Hutter (2019), "Decoupled Weight Decay Regularization". https://arxiv.org/abs/1711.05101

    Note:
        Keras's `exclude_from_weight_decay` forgets what an earlier call named, and refuses an optimizer that is built.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    already = getattr(optimizer, "_exclude_from_weight_decay", set())
    optimizer._exclude_from_weight_decay = already | {optimizer._var_key(variable) for variable in variables}
