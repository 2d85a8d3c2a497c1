"""Policy gradients as pure functions: returns, advantages, and the surrogate of proximal policy optimisation.

Nothing here looks at the end of an episode. In a trial of several episodes what is learned in one is used in the next,
so that returns and advantages run across.
"""

from __future__ import annotations

import tensorflow as tf

from tfmeta.core.validation import check_fraction, check_number


def discounted_returns(rewards: tf.Tensor, discount: float = 1.0) -> tf.Tensor:
    """Reward to go: of every step the sum of its reward and all later ones, discounted.

    Args:
        rewards: `[n_trials, n_steps]`.
        discount: gamma, 0 to 1.

    Returns:
        `[n_trials, n_steps]`.

    Raises:
        ValueError: if the discount is not between 0 and 1.

    References:
        Sutton, Barto (2018), equation 3.8. http://incompleteideas.net/book/the-book-2nd.html
    """
    return generalised_advantages(rewards, tf.zeros_like(rewards), discount=discount, decay=1.0)


def generalised_advantages(
    rewards: tf.Tensor, values: tf.Tensor, *, discount: float = 0.99, decay: float = 0.95
) -> tf.Tensor:
    """How much better each action was than expected: GAE(gamma, lambda).

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lambda A_{t+1}; after the last step there is nothing.

    Args:
        rewards: `[n_trials, n_steps]`.
        values: V, the expected return of every step before its action, `[n_trials, n_steps]`.
        discount: gamma, 0 to 1.
        decay: lambda, 0 to 1. With 1 it is the reward to go minus the value, with 0 the error of one step.

    Returns:
        `[n_trials, n_steps]`.

    Raises:
        ValueError: if gamma or lambda is not between 0 and 1.

    References:
        Schulman et al. (2016), "High-dimensional continuous control using generalized advantage estimation",
        equation 16. https://arxiv.org/abs/1506.02438
    """
    check_fraction("discount", discount)
    check_fraction("decay", decay)
    after = tf.concat([values[:, 1:], tf.zeros_like(values[:, :1])], axis=1)
    deltas = rewards + discount * after - values
    backwards = tf.reverse(tf.transpose(deltas), [0])  # [n_steps, n_trials]
    summed = tf.scan(lambda later, delta: delta + discount * decay * later, backwards)
    return tf.transpose(tf.reverse(summed, [0]))


def clipped_surrogate(
    log_probs: tf.Tensor, old_log_probs: tf.Tensor, advantages: tf.Tensor, clip: float = 0.2
) -> tf.Tensor:
    """The objective of PPO for every step, to be maximised.

    min(r A, clamp(r, 1 - clip, 1 + clip) A) with r the ratio of the probabilities. Where r is 1 its gradient is the
    policy gradient, A times the gradient of the logarithm.

    Args:
        log_probs: of the actions under the policy that learns, `[...]`.
        old_log_probs: under the policy that played, `[...]`.
        advantages: `[...]`.
        clip: how far the ratio may go for gain.

    Returns:
        `[...]`.

    Raises:
        ValueError: if the clip is not positive.

    References:
        Schulman et al. (2017), "Proximal policy optimization algorithms", equation 7. https://arxiv.org/abs/1707.06347
    """
    check_number("clip", clip, above=True)
    ratio = tf.exp(log_probs - tf.stop_gradient(old_log_probs))
    advantages = tf.stop_gradient(advantages)
    return tf.minimum(ratio * advantages, tf.clip_by_value(ratio, 1 - clip, 1 + clip) * advantages)


def policy_gradient_surrogate(log_probs: tf.Tensor, advantages: tf.Tensor) -> tf.Tensor:
    """Log pi(a) A for every step: its gradient is the policy gradient. Its second derivative is not that of the return.

    Args:
        log_probs: of the actions that were played, `[...]`.
        advantages: `[...]`.

    Returns:
        `[...]`.

    References:
        Williams (1992), equation 11; Foerster et al. (2018), section 3, for what its second derivative lacks.
        https://doi.org/10.1007/BF00992696, https://arxiv.org/abs/1802.05098
    """
    return log_probs * tf.stop_gradient(advantages)


def dice(log_probs: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """The magic box of DiCE: 1 in value, with the derivatives of the probability of all that was played until then.

    Args:
        log_probs: of the actions, in the order of the steps along `axis`.
        axis: of the steps.

    Returns:
        exp(s - stop_gradient(s)) with s the running sum of the logarithms, in the shape of `log_probs`. Times the
        rewards, it has all derivatives of the expected return right.

    References:
        Foerster et al. (2018), "DiCE: the infinitely differentiable Monte Carlo estimator", equations 4 and 5.
        https://arxiv.org/abs/1802.05098
    """
    summed = tf.cumsum(log_probs, axis=axis)
    return tf.exp(summed - tf.stop_gradient(summed))
