"""How good a learner is, and how it adapts step by step."""

from tfmeta.evaluation.curves import AdaptationCurve, adaptation_curve
from tfmeta.evaluation.details import ClassScore, ScoreDetails
from tfmeta.evaluation.pairs import PairedDifference, paired_difference
from tfmeta.evaluation.predictive import Predictive, predictive
from tfmeta.evaluation.regression import RegressionScore
from tfmeta.evaluation.scores import Score, confidence_interval, evaluate
from tfmeta.evaluation.seeds import mean_over_seeds

__all__ = [
    "AdaptationCurve",
    "ClassScore",
    "PairedDifference",
    "Predictive",
    "RegressionScore",
    "Score",
    "ScoreDetails",
    "adaptation_curve",
    "confidence_interval",
    "evaluate",
    "mean_over_seeds",
    "paired_difference",
    "predictive",
]
