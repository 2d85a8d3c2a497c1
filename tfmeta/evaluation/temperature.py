"""A temperature that makes a classifier as sure as it is right."""

from __future__ import annotations

import numpy as np

from tfmeta.core.validation import check_number
from tfmeta.evaluation.calibration import as_labels, as_rows, log_softmax

# The fitted temperature is looked for between these, in units of the widest spread of a row of logits.
_COLDEST, _HOTTEST = 1e-6, 1e6


def temperature_scaled(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of logits divided by a temperature: above 1 less sure, below 1 surer, the order as it was.

    Args:
        logits: `[n, n_way]`; logarithms of probabilities will do.
        temperature: above 0; with 1 it is the softmax.

    Returns:
        Probabilities, float64 `[n, n_way]`.

    Raises:
        ValueError: if the temperature is not above 0 or logits are no finite numbers.

    References:
        Guo et al. (2017), section 4.2, equation 9. https://arxiv.org/abs/1706.04599
    """
    check_number("temperature", temperature, above=True)
    return np.exp(log_softmax(as_rows("logits", logits) / temperature))


def fitted_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature with the least negative log-likelihood, of other queries than those that are judged.

    Args:
        labels: integers `[n]`.
        logits: `[n, n_way]`.

    Returns:
        The temperature, above 0; that of calibrated logits is 1.

    Raises:
        ValueError: if they do not fit together; or if there is no best temperature, because every largest logit is
            right, or because the logits say less than guessing.

    References:
        Guo et al. (2017), section 4.2. https://arxiv.org/abs/1706.04599
    """
    logits = as_rows("logits", logits)
    labels = as_labels(labels, logits, "logits")
    own = logits[np.arange(len(labels)), labels]
    spread = float(np.ptp(logits, axis=1).max()) or 1.0

    def slope(log_temperature: float) -> float:
        # Derivative of the loss in 1 / temperature, in which it is convex: mean expected logit minus the true one's.
        probabilities = np.exp(log_softmax(logits * np.exp(-log_temperature)))
        return float(np.mean(np.sum(probabilities * logits, axis=1) - own))

    low, high = np.log(spread * _COLDEST), np.log(spread * _HOTTEST)
    if slope(low) <= 0:
        raise ValueError(
            "the largest logit must be wrong somewhere: else the colder the better. Received: logits right in "
            f"{np.sum(np.argmax(logits, axis=1) == labels)} of {len(labels)} queries"
        )
    if slope(high) >= 0:
        raise ValueError(
            "the logits must say more than guessing: else the hotter the better. Received: logits which at the true "
            f"class are {-slope(high):.3g} above the mean of their row"
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) < 0 else (middle, high)
    return float(np.exp((low + high) / 2))
