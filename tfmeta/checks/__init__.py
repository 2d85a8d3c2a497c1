"""Automatic checks of the tutorials' exercises: each takes your function and says in words what is wrong with it.

    from tfmeta import checks
    checks.prototypical_logits(my_function)

A check never raises: an answer that is not written yet, stops with an error or returns the wrong thing gets a sentence.
"""

from tfmeta.checks.adaptation import adapt
from tfmeta.checks.batch_norm import one_query_evaluation
from tfmeta.checks.episodes import sample_episode
from tfmeta.checks.gradients import detect_assign, quadratic_meta_gradient
from tfmeta.checks.prototypes import prototypical_logits
from tfmeta.checks.report import Result

__all__ = [
    "Result",
    "adapt",
    "detect_assign",
    "one_query_evaluation",
    "prototypical_logits",
    "quadratic_meta_gradient",
    "sample_episode",
]
