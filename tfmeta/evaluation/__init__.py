"""How good a learner is, how sure it is of it, and how it adapts step by step."""

from tfmeta.evaluation.calibration import (
    Reliability,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)
from tfmeta.evaluation.calibration_score import Calibration
from tfmeta.evaluation.curves import AdaptationCurve, adaptation_curve
from tfmeta.evaluation.details import ClassScore, ScoreDetails
from tfmeta.evaluation.intervals import confidence_interval
from tfmeta.evaluation.mixtures import coverage, mixture_nll
from tfmeta.evaluation.pairs import PairedDifference, paired_difference
from tfmeta.evaluation.predictive import Predictive, predictive, predictives
from tfmeta.evaluation.regression import RegressionScore
from tfmeta.evaluation.scores import Score, evaluate
from tfmeta.evaluation.seeds import mean_over_seeds
from tfmeta.evaluation.temperature import fitted_temperature, temperature_scaled
from tfmeta.evaluation.trials import TrialScore, evaluate_agent

__all__ = [
    "AdaptationCurve",
    "Calibration",
    "ClassScore",
    "PairedDifference",
    "Predictive",
    "RegressionScore",
    "Reliability",
    "Score",
    "ScoreDetails",
    "TrialScore",
    "adaptation_curve",
    "brier_score",
    "confidence_interval",
    "coverage",
    "evaluate",
    "evaluate_agent",
    "expected_calibration_error",
    "fitted_temperature",
    "mean_over_seeds",
    "mixture_nll",
    "negative_log_likelihood",
    "paired_difference",
    "predictive",
    "predictives",
    "reliability",
    "temperature_scaled",
]
