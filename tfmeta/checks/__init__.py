"""Automatic checks of the tutorials' exercises: each takes your function and says in words what is wrong with it.

    from tfmeta import checks
    checks.prototypical_logits(my_function)

A check never raises: an answer that is not written yet, stops with an error or returns the wrong thing gets a sentence.
"""

from tfmeta.checks.adaptation import adapt
from tfmeta.checks.attention import cosine_attention
from tfmeta.checks.batch_norm import one_query_evaluation
from tfmeta.checks.bayes import bayesian_linear, gaussian_kl, sample_theta
from tfmeta.checks.calibration import expected_calibration_error
from tfmeta.checks.comparisons import paired_difference
from tfmeta.checks.episodes import sample_episode
from tfmeta.checks.exploration import returns, ucb1
from tfmeta.checks.gradients import detect_assign, quadratic_meta_gradient
from tfmeta.checks.heads import prototypical_head
from tfmeta.checks.learned_updates import cell_update, preprocess
from tfmeta.checks.masks import masked_update
from tfmeta.checks.outer_steps import outer_step
from tfmeta.checks.prediction import predict
from tfmeta.checks.prototypes import prototypical_logits
from tfmeta.checks.quiz import quiz
from tfmeta.checks.record import progress
from tfmeta.checks.repairs import repaired_step
from tfmeta.checks.report import Result
from tfmeta.checks.rollouts import rollout
from tfmeta.checks.train_steps import prototypical_train_step
from tfmeta.checks.updates import meta_sgd_update, reptile_update

__all__ = [
    "Result",
    "adapt",
    "bayesian_linear",
    "cell_update",
    "cosine_attention",
    "detect_assign",
    "expected_calibration_error",
    "gaussian_kl",
    "masked_update",
    "meta_sgd_update",
    "one_query_evaluation",
    "outer_step",
    "paired_difference",
    "predict",
    "preprocess",
    "progress",
    "prototypical_head",
    "prototypical_logits",
    "prototypical_train_step",
    "quadratic_meta_gradient",
    "quiz",
    "repaired_step",
    "reptile_update",
    "returns",
    "rollout",
    "sample_episode",
    "sample_theta",
    "ucb1",
]
