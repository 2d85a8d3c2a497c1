"""A policy and a value on one recurrent layer."""

from __future__ import annotations

import keras
from keras import layers

from tfmeta.core.trials import Environment
from tfmeta.core.validation import check_sizes
from tfmeta.machine import threads


def recurrent_policy(environment: Environment, *, units: int = 64, name: str | None = None) -> keras.Model:
    """A GRU that reads what happened, and on its state a policy and a value: the network of RL^2.

    It reads an observation, the action before, its reward, and whether it ended an episode.

    Args:
        environment: whose observations and actions these are.
        units: of the GRU.
        name: name of the Keras model.

    Returns:
        A functional Keras model of two inputs, sequences `[batch, n_steps, observation_size + code_size + 2]` and the
        state `[batch, units]`. Its outputs are the policy's numbers `[batch, n_steps, n_outputs]` (logits of discrete
        actions), values `[batch, n_steps, 1]`, and the state after the last step.

    Raises:
        ValueError: if `units` is not positive.

    References:
        Duan et al. (2016), section 2.3. https://arxiv.org/abs/1611.02779

    Note:
        The GRU has Keras's tanh; the paper's has ReLU and weight normalisation.
    """
    if not isinstance(environment, Environment):
        raise TypeError(f"environment must be an Environment. Received: environment={environment!r}")
    check_sizes(units=units)
    threads.prefer_tasks()
    actions = environment.actions
    seen = keras.Input((None, environment.observation_size + actions.code_size + 2), name="seen")
    state = keras.Input((units,), name="state")
    # The same cell plays step by step and learns from whole trials; cuDNN's differs from it by rounding.
    found, after = layers.GRU(units, return_sequences=True, return_state=True, use_cudnn=False, name="memory")(
        seen, initial_state=state
    )
    # Small weights: an untrained agent tries all actions alike.
    choice = layers.Dense(actions.n_outputs, kernel_initializer=keras.initializers.Orthogonal(0.01), name="choice")(
        found
    )
    value = layers.Dense(1, name="value")(found)
    return keras.Model([seen, state], [choice, value, after], name=name or "recurrent_policy")
