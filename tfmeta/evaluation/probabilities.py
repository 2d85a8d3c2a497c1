"""Probabilities of what a learner gives for the queries: of logits, of probabilities, of one output for two classes."""

from __future__ import annotations

import numpy as np

from tfmeta.evaluation.calibration import log_softmax
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.outputs import takes_logits

# How far rows of probabilities may be from a sum of 1: half precision has three digits.
_TOLERANCE = 5e-3


def check_probabilities(learner, regression: bool) -> None:
    """Refuse to ask for probabilities where there are none.

    Args:
        learner: an `EpisodicLearner`, or anything else that is judged.
        regression: whether the episodes have targets instead of labels.

    Raises:
        TypeError: if the method gives no probabilities.
        ValueError: if the episodes have targets.
    """
    if regression:
        raise ValueError(
            "calibration=True is for classifiers; of regression tfmeta.evaluation.coverage says how many targets "
            "intervals hold. Received: calibration=True and episodes with targets"
        )
    if isinstance(learner, EpisodicLearner) and not learner.method.scores:
        raise TypeError(
            "calibration needs a method that gives probabilities, and the outputs of this one only say which class is "
            f"nearest. Received: calibration=True and a learner of type {type(learner).__name__}"
        )


def log_probabilities(learner, outputs: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities of one episode's queries.

    Args:
        learner: an `EpisodicLearner`, whose loss says what outputs are. Of anything else, and of a loss that does not
            say it, rows that are at least 0 and sum to 1 are probabilities, and others logits.
        outputs: `[n, n_way]`; or `[n, 1]`, of the second of two classes.

    Returns:
        float64 `[n, n_way]`, two classes of one output; not-a-number where an output is.

    References:
        Guo et al. (2017), section 2. https://arxiv.org/abs/1706.04599
    """
    outputs = np.asarray(outputs, np.float64)
    logits = _gives_logits(learner)
    if outputs.shape[1] == 1:
        if logits is False:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(np.concatenate([1.0 - outputs, outputs], axis=1))
        return -np.logaddexp(0.0, np.concatenate([outputs, -outputs], axis=1))
    if logits is None:
        known = outputs[np.isfinite(outputs).all(axis=1)]
        logits = not (len(known) and known.min() >= 0 and np.abs(known.sum(axis=1) - 1.0).max() < _TOLERANCE)
    if logits:
        return log_softmax(outputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(outputs / outputs.sum(axis=1, keepdims=True))


def _gives_logits(learner) -> bool | None:
    if not isinstance(learner, EpisodicLearner):
        return None
    return True if learner.loss_function is None else takes_logits(learner.loss_function)
