"""The learner and the stream of training data that a run's settings describe."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfmeta import networks
from tfmeta.algorithms.anil import ANIL
from tfmeta.algorithms.fine_tuning import FineTunedClassifier
from tfmeta.algorithms.maml import MAML
from tfmeta.algorithms.maml_plus_plus import MAMLPlusPlus
from tfmeta.algorithms.matching import MatchingNetwork
from tfmeta.algorithms.meta_sgd import MetaSGD
from tfmeta.algorithms.nearest_neighbour import NearestNeighbour
from tfmeta.algorithms.proto_maml import ProtoMAML
from tfmeta.algorithms.prototypical import PrototypicalNetwork
from tfmeta.algorithms.reptile import Reptile
from tfmeta.app.settings import TrainSettings
from tfmeta.datasets import ImageClasses, labelled_batches
from tfmeta.tasks.sampling import episode_dataset
from tfmeta.training import base


def build_learner(settings: TrainSettings, train: ImageClasses) -> base.EpisodicModel:
    """The compiled learner that settings describe; initial weights come from Keras's seed.

    Args:
        settings: what to build.
        train: the training classes, for the images' shape `(height, width, channels)` and their number.

    Returns:
        A compiled learner.

    References:
        Finn et al. (2017), appendix A.1 https://arxiv.org/abs/1703.03400
    """
    learner = _build(settings, train)
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, settings.steps)
    elif settings.schedule == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(rate, settings.steps, end_learning_rate=0.0)
    optimizer = keras.optimizers.Adam if settings.optimizer == "adam" else keras.optimizers.SGD
    learner.compile(optimizer=optimizer(rate))
    return learner


def _build(settings: TrainSettings, train: ImageClasses) -> base.EpisodicModel:
    network = {
        "filters": settings.filters, "downsample": settings.downsample, "input_shape": train.image_shape
    }  # fmt: skip
    method = settings.method
    if method == "nearest-neighbour":
        return NearestNeighbour()
    if method == "prototypical":
        return PrototypicalNetwork(networks.conv4(**network))
    if method == "matching":
        return MatchingNetwork(networks.conv4(**network))
    test_rate = {"inner_lr": settings.inner_lr, "eval_inner_steps": settings.eval_inner_steps}
    if method == "fine-tuning":
        return FineTunedClassifier(networks.conv4(**network), train.n_classes, **test_rate)
    inner = test_rate | {"inner_steps": settings.inner_steps}
    if method == "proto-maml":
        return ProtoMAML(networks.conv4(**network), **inner)
    learner = networks.conv4(settings.n_way, **network)
    if method == "reptile":
        batches = {
            "inner_batch_size": settings.inner_batch_size, "eval_inner_batch_size": settings.eval_inner_batch_size
        }  # fmt: skip
        return Reptile(learner, **inner, **batches)
    if method == "anil":
        return ANIL(learner, **inner)
    if method == "meta-sgd":
        steps = {"inner_steps": settings.inner_steps, "eval_inner_steps": settings.eval_inner_steps}
        return MetaSGD(learner, initial_rates=(0.5 * settings.inner_lr, 1.5 * settings.inner_lr), **steps)
    if method == "maml++":
        # The paper anneals over the first 10 to 15 of its 100 epochs.
        return MAMLPlusPlus(learner, **inner, multi_step_loss=max(1, settings.steps // 10))
    return MAML(learner, **inner, first_order=method == "fomaml")


def training_data(settings: TrainSettings, train: ImageClasses, start: int = 0) -> tf.data.Dataset:
    """The run's stream of training meta-batches, or of labelled images for the fine-tuned classifier.

    Args:
        settings: sizes and seed.
        train: the training classes.
        start: number of outer steps done already; their data are passed over.

    Returns:
        A dataset without end, as from `episode_dataset` or `labelled_batches`.

    Raises:
        ValueError: if there are too few classes or images.

    References:
        Vinyals et al. (2016), section 3. https://arxiv.org/abs/1606.04080
    """
    if settings.method == "fine-tuning":
        return labelled_batches(train, batch_size=settings.meta_batch_size, seed=settings.seed, start=start)
    return episode_dataset(
        train, n_way=settings.train_way or settings.n_way, k_shot=settings.train_shot or settings.k_shot,
        n_query=settings.n_query, meta_batch_size=settings.meta_batch_size, seed=settings.seed, start=start,
    )  # fmt: skip
