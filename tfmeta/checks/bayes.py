"""Checks of tutorial 11: a draw of weights, the divergence of two Gaussians, the posterior of a linear layer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfmeta.checks.lists import as_tensors, compare, examine_lists, random_parameters
from tfmeta.checks.report import SECONDS, Result, judge, require
from tfmeta.checks.slopes import examine_slopes
from tfmeta.checks.stops import TENSOR_HINTS
from tfmeta.checks.values import as_array, as_list


def sample_theta(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check a draw of weights by reparameterisation.

    Args:
        answer: `answer(means, log_variances, noise)` with three lists of tensors of the same shapes, of which `noise`
            was drawn from N(0, 1); returns the list of weights, through which a gradient reaches means and variances.
            Noise with its sign turned is as good.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the variance or its logarithm where the standard deviation
        belongs, the root of the logarithm, a logarithm that is not halved, no mean, no noise, a softplus, results cut
        off from means or variances, a list changed in place.

    References:
        Kingma, Welling (2014), section 2.4. https://arxiv.org/abs/1312.6114
    """
    return judge("sample_theta", answer, _examine_draw, TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_draw(call) -> str:
    rng = np.random.default_rng(0)
    means, logs, noise, weights = (random_parameters(rng) for _ in range(4))
    logs = [tensor - 1.0 for tensor in logs]
    given = list(means), list(logs), list(noise)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([means, logs])
        found = call(*given)
        examine_lists(means=(given[0], means), log_variances=(given[1], logs), noise=(given[2], noise))
        found = as_tensors(found, 2)

        def each(spread):
            return [m + spread(v) * e for m, v, e in zip(means, logs, noise, strict=True)]

        exact, turned = each(lambda v: tf.exp(v / 2)), each(lambda v: -tf.exp(v / 2))
        right = (
            turned if all(np.allclose(as_array(f), t, atol=1e-4) for f, t in zip(found, turned, strict=True)) else exact
        )
        deviation = "a draw is mean + *standard deviation* * noise, and that is exp(log_variance / 2)"
        wrong = (
            (each(tf.exp), f"you multiplied the noise by the variance: {deviation}."),
            (each(lambda v: v), f"you multiplied the noise by the logarithm of the variance: {deviation}."),
            (each(lambda v: v / 2), f"the exponential is missing: {deviation}."),
            (each(lambda v: tf.sqrt(tf.abs(v))), f"you took the root of the logarithm: {deviation}."),
            (each(lambda v: tf.exp(2 * v)), f"you doubled the logarithm, which squares the variance: {deviation}."),
            (each(lambda v: tf.exp(-v / 2)), f"this divides the noise by the standard deviation: {deviation}."),
            (
                each(tf.nn.softplus),
                f"a softplus makes another number of a logarithm than the exponential: {deviation}.",
            ),
            (each(tf.ones_like), f"the variances are missing: {deviation}."),
            (means, "these are the means. Add the noise, or all models of a task are the same."),
            ([s - m for s, m in zip(exact, means, strict=True)], "the means are missing: this is the noise alone."),
        )
        compare(found, right, wrong, "this is not mean + exp(log_variance / 2) * noise, weight by weight.")
        losses = [_weighed(weights, parts) for parts in (found, right)]
    flat = [
        [
            None if any(g is None for g in part) else tf.concat([tf.reshape(g, [-1]) for g in part], 0)
            for part in through
        ]
        for through in (tape.gradient(loss, [means, logs]) for loss in losses)
    ]
    examine_slopes(*flat, ["means", "log variances"], "the outer loop")
    return "mean + standard deviation * noise: a gradient reaches both, which is what the detour is for."


def _weighed(weights, parts) -> tf.Tensor:
    """A scalar of an answer's parts, whose gradient is compared."""
    parts = [tf.cast(tf.convert_to_tensor(part), tf.float32) for part in parts]
    return tf.add_n([tf.reduce_sum(w * part) for w, part in zip(weights, parts, strict=True)])


def gaussian_kl(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the divergence of two Gaussians with a variance for each weight.

    Args:
        answer: `answer(mean_q, log_variance_q, mean_p, log_variance_p)` with four tensors `[n]`; returns KL(q || p) in
            nats, a scalar, through which a gradient reaches all four.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: the other direction, a mean over weights, the mean of both
        directions, a forgotten half, a forgotten -1, a forgotten logarithm, one with the wrong sign, distances that
        are not squared or not divided by the variance, logarithms of standard deviations, bits.

    References:
        Kingma, Welling (2014), appendix B. https://arxiv.org/abs/1312.6114
    """
    return judge("gaussian_kl", answer, _examine_divergence, TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_divergence(call) -> str:
    rng = np.random.default_rng(0)
    for n in (1, 5):
        four = [tf.constant(rng.normal(size=n), tf.float32) for _ in range(4)]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(four)
            given = call(*four)
            number = as_array(given)
            require(number.size == 1, f"the divergence is one number, the sum over weights; yours has {number.shape}.")
            m_q, l_q, m_p, l_p = four
            exact = 0.5 * tf.reduce_sum(l_p - l_q + tf.exp(l_q - l_p) + (m_q - m_p) ** 2 * tf.exp(-l_p) - 1.0)
            _refuse_divergence(float(number.reshape(())), float(exact), *(t.numpy().astype(np.float64) for t in four))
            loss = tf.reduce_sum(tf.cast(tf.convert_to_tensor(given), tf.float32))
        names = ["mean of q", "variance of q", "mean of p", "variance of p"]
        examine_slopes(tape.gradient(loss, four), tape.gradient(exact, four), names, "the outer loop")
    return "half the sum of log(v_p / v_q) + (v_q + (m_q - m_p)^2) / v_p - 1: KL of q from p, and not the other way."


def _refuse_divergence(found: float, exact: float, m_q, l_q, m_p, l_p) -> None:
    def same(other) -> bool:
        return bool(np.isclose(found, np.sum(other), rtol=1e-4, atol=1e-5))

    if same(exact):
        return
    v_q, v_p, d = np.exp(l_q), np.exp(l_p), m_q - m_p
    each = 0.5 * (l_p - l_q + (v_q + d**2) / v_p - 1)
    other = 0.5 * (l_q - l_p + (v_p + d**2) / v_q - 1)
    s_q, s_p = np.exp(2 * l_q), np.exp(2 * l_p)
    for value, message in (
        (other, "this is KL(p || q), the other direction. The mean is taken under q: v_q is divided by v_p."),
        (each.mean(), "you took the mean over weights. Weights are independent, so their divergences add up."),
        ((each + other) / 2, "this is the mean of both directions. The bound has one: KL(q || p)."),
        (each + other, "this is the sum of both directions. The bound has one: KL(q || p)."),
        (2 * each, "the factor 1/2 is missing."),
        (each + 0.5, "the -1 is missing, which belongs to every weight: equal Gaussians must have divergence 0."),
        (each + 0.5 - 0.5 / len(each), "the -1 belongs to every weight, not once to the sum."),
        (each - 0.5 * (l_p - l_q), "the logarithm of the two variances is missing."),
        (each - (l_p - l_q), "the logarithm has the wrong sign: it is log(v_p / v_q)."),
        (-each, "this is minus the divergence, which is at least 0."),
        (0.5 * (l_p - l_q + v_q / v_p - 1), "the distance of the means is missing."),
        (0.5 * (l_p - l_q + v_q / v_p + d**2 - 1), "the squared distance of the means is divided by v_p."),
        (0.5 * (l_p - l_q + v_q / v_p + d**2 / v_q - 1), "the distance is divided by v_q. It belongs to v_p."),
        (0.5 * (l_p - l_q + (v_q + np.abs(d)) / v_p - 1), "the distance of the means is squared."),
        (0.5 * (2 * l_p - 2 * l_q + (s_q + d**2) / s_p - 1),
         "you took the arguments for logarithms of standard deviations. They are those of variances."),
        (each / np.log(2), "this is in bits. The loss is in nats, with natural logarithms."),
    ):  # fmt: skip
        require(not same(value), message)
    require(False, "this is not half the sum of log(v_p / v_q) + (v_q + (m_q - m_p)^2) / v_p - 1.")


def bayesian_linear(answer, *, quiet: bool = False, seconds: float = SECONDS) -> Result:
    """Check the posterior of a linear layer.

    Args:
        answer: `answer(features, targets, prior_mean, prior_precision)` with `[n, dim]`, `[n, m]`, `[dim, m]` and
            `[dim, dim]`; returns the posterior's mean `[dim, m]` and precision `[dim, dim]`, in units of the noise's
            variance, through which a gradient reaches all four. With n = 0 it returns the prior.
        quiet: print nothing, for a script that grades.
        seconds: how long the answer may take before it counts as endless.

    Returns:
        A `Result`. Rejected with words of their own: least squares, a ridge regression that forgets the prior's mean, a
        covariance in place of the precision, the prior's precision or its mean alone, a mean over points, mean and
        precision exchanged, results through which no gradient flows.

    References:
        Harrison, Sharma, Pavone (2018), the posterior of the last layer. https://arxiv.org/abs/1807.08912
    """
    return judge("bayesian_linear", answer, _examine_posterior, TENSOR_HINTS, quiet=quiet, seconds=seconds)


def _examine_posterior(call) -> str:
    rng = np.random.default_rng(0)
    for n, dim, m in ((6, 3, 2), (2, 4, 1), (0, 3, 2)):
        root = rng.normal(size=(dim, dim))
        prior = rng.normal(size=(dim, m)), root @ root.T + 0.5 * np.eye(dim)
        four = [tf.constant(x, tf.float32) for x in (rng.normal(size=(n, dim)), rng.normal(size=(n, m)), *prior)]
        weights = [tf.constant(rng.normal(size=shape), tf.float32) for shape in ((dim, m), (dim, dim))]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(four)
            found = as_list(call(*four), 2, "return two things: the posterior's mean, and its precision.")
            features, targets, mean, precision = four
            sharper = precision + tf.matmul(features, features, transpose_a=True)
            exact = tf.linalg.solve(sharper, precision @ mean + tf.matmul(features, targets, transpose_a=True)), sharper
            _refuse_posterior(
                [as_array(part) for part in found], [part.numpy().astype(np.float64) for part in four],
                [part.numpy().astype(np.float64) for part in exact],
            )  # fmt: skip
            losses = [_weighed(weights, parts) for parts in (found, exact)]
        if n:
            names = ["features", "targets", "prior's mean", "prior's precision"]
            slopes = [_of_symmetric(tape.gradient(loss, four)) for loss in losses]
            examine_slopes(*slopes, names, "the outer loop")
    return "precision L0 + X'X, mean L^-1 (L0 m0 + X'y): with no points it is the prior, and a gradient reaches it."


def _of_symmetric(gradients):
    """Gradients of which the last is that of a symmetric matrix: how it is shared between two equal entries is free."""
    *others, last = gradients
    return [*others, None if last is None else (last + tf.transpose(last)) / 2]


def _refuse_posterior(found, given, exact) -> None:
    (mean, precision), (x, y, m0, l0) = found, given
    require(
        mean.shape == exact[0].shape or precision.shape != exact[0].shape,
        "mean and precision are exchanged: return the mean first.",
    )
    for name, part, want in (("mean", mean, exact[0]), ("precision", precision, exact[1])):
        require(part.shape == want.shape, f"the {name} must have shape {want.shape}; yours has {part.shape}.")

    def same(a, b) -> bool:
        return bool(np.allclose(a, b, rtol=1e-3, atol=1e-3 * max(1.0, np.abs(b).max())))

    gram, n = x.T @ x, len(x)
    if not same(precision, exact[1]):
        for value, message in (
            (np.linalg.inv(exact[1]), "this is the covariance. Return its inverse, the precision."),
            (gram, "the prior's precision is missing: points *add* to what is known before."),
            (l0, "this is the prior's precision. Each point adds its features' outer product."),
            (l0 + gram / max(n, 1), "you took the mean over points. Every point adds to the precision."),
            (np.linalg.inv(l0) + gram, "you added a covariance to a precision: the prior is given as a precision."),
            (l0 - gram, "points add to the precision: the sign is wrong."),
        ):
            require(not same(precision, value), message)
        require(False, "the precision is not L0 + X'X.")
    if same(mean, exact[0]):
        return
    right = x.T @ y
    for value, message in (
        (np.linalg.solve(exact[1], right),
         "the prior's mean is missing: without points this is 0, and not what is believed before."),
        (np.linalg.solve(exact[1], m0 + right), "the prior's mean is weighted by its precision: L0 m0."),
        (l0 @ m0 + right, "the last step is missing: solve with the posterior's precision."),
        (exact[1] @ (l0 @ m0 + right), "you multiplied by the precision where its inverse belongs."),
        (m0, "this is the prior's mean. The points are not used."),
        (m0 + np.linalg.solve(exact[1], right), "from the targets the prior's own prediction is subtracted first."),
        (np.linalg.lstsq(x, y, rcond=None)[0] if n else m0 + 1e9, "this is least squares: the prior is missing."),
        (np.linalg.solve(l0, l0 @ m0 + right), "you solved with the prior's precision. Use the posterior's."),
    ):  # fmt: skip
        require(not same(mean, value), message)
    require(False, "the mean is not L^-1 (L0 m0 + X'y), with L the posterior's precision.")
