"""tfmeta: learn, use and see meta-learning in TensorFlow.

Whoever reads this file sees the field on one page; each name's docstring says what it takes and where it comes from.
"""

from tfmeta.machine import command
from tfmeta.version import __version__

if command.waits():  # the `tfmeta` command before it has work to do

    def __getattr__(name):
        return command.first_use(__name__, name)

else:
    from tfmeta.machine.backend import require_tensorflow

    require_tensorflow()

    from tfmeta import checks, datasets, evaluation, exploration, functional, networks, notebook, plotting, tasks
    from tfmeta.algorithms.alpaca import BayesianLinearRegressor
    from tfmeta.algorithms.anil import ANIL
    from tfmeta.algorithms.boil import BOIL
    from tfmeta.algorithms.ensemble import MAMLEnsemble
    from tfmeta.algorithms.fine_tuning import FineTunedClassifier
    from tfmeta.algorithms.lstm_meta_learner import LSTMMetaLearner
    from tfmeta.algorithms.maml import MAML
    from tfmeta.algorithms.maml_plus_plus import MAMLPlusPlus
    from tfmeta.algorithms.maml_policy import MAMLPolicy
    from tfmeta.algorithms.matching import MatchingNetwork, cosine_attention
    from tfmeta.algorithms.meta_sgd import MetaSGD
    from tfmeta.algorithms.nearest_neighbour import NearestNeighbour
    from tfmeta.algorithms.platipus import PLATIPUS
    from tfmeta.algorithms.proto_maml import ProtoMAML
    from tfmeta.algorithms.prototypical import PrototypicalNetwork, compute_prototypes, prototypical_logits
    from tfmeta.algorithms.reptile import Reptile, reptile_update
    from tfmeta.algorithms.ridge import RidgeClassifier
    from tfmeta.algorithms.rl2 import RL2
    from tfmeta.app.pretrained import load_pretrained
    from tfmeta.core.distances import squared_euclidean
    from tfmeta.core.episode import Episode
    from tfmeta.evaluation import AdaptationCurve, RegressionScore, Score, adaptation_curve, evaluate, mean_over_seeds
    from tfmeta.machine import threads
    from tfmeta.plotting import (
        plot_adaptation_curve,
        plot_confusion,
        plot_embeddings,
        plot_episode,
        plot_regression,
        plot_scores,
    )
    from tfmeta.tasks import augmentation
    from tfmeta.tasks.from_functions import episodes_from
    from tfmeta.tasks.sampling import EpisodeIds, episode_dataset, sample_episode
    from tfmeta.training.finishing import predict_classes
    from tfmeta.training.members import sample_adapted

    threads.prefer_tasks_at_import()

__all__ = [
    "ANIL",
    "BOIL",
    "MAML",
    "PLATIPUS",
    "RL2",
    "AdaptationCurve",
    "BayesianLinearRegressor",
    "Episode",
    "EpisodeIds",
    "FineTunedClassifier",
    "LSTMMetaLearner",
    "MAMLEnsemble",
    "MAMLPlusPlus",
    "MAMLPolicy",
    "MatchingNetwork",
    "MetaSGD",
    "NearestNeighbour",
    "ProtoMAML",
    "PrototypicalNetwork",
    "RegressionScore",
    "Reptile",
    "RidgeClassifier",
    "Score",
    "__version__",
    "adaptation_curve",
    "augmentation",
    "checks",
    "compute_prototypes",
    "cosine_attention",
    "datasets",
    "episode_dataset",
    "episodes_from",
    "evaluate",
    "evaluation",
    "exploration",
    "functional",
    "load_pretrained",
    "mean_over_seeds",
    "networks",
    "notebook",
    "plot_adaptation_curve",
    "plot_confusion",
    "plot_embeddings",
    "plot_episode",
    "plot_regression",
    "plot_scores",
    "plotting",
    "predict_classes",
    "prototypical_logits",
    "reptile_update",
    "sample_adapted",
    "sample_episode",
    "squared_euclidean",
    "tasks",
    "threads",
]
