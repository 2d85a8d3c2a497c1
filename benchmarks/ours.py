"""tfmeta on a case: the train function that `fit` runs, fed from a `tf.data` iterator as `fit` feeds it."""

import keras
import tensorflow as tf

import tfmeta
from benchmarks.cases import ADAM_EPSILON, OUTER_LR


def _make(case, arrays, make_optimizer):
    """The compiled learner with the given weights, and an endless iterator over the one meta-batch.

    The optimizer is made after the network, as in the README's example: it holds variables, so it starts TensorFlow,
    and tfmeta can choose the thread settings only before that.
    """
    n_way = case.n_way if case.kind == "maml" else None
    network = tfmeta.networks.conv4(n_way, filters=case.filters, downsample=case.downsample)
    for variable, value in zip(network.trainable_variables, arrays["weights"].values(), strict=True):
        variable.assign(value)
    if case.kind == "maml":
        learner = tfmeta.MAML(
            network, inner_lr=case.inner_lr, inner_steps=case.inner_steps, gradient_mode=case.gradient_mode
        )
    else:
        learner = tfmeta.PrototypicalNetwork(network)
    learner.compile(optimizer=make_optimizer())
    learner.make_train_function()
    episodes = tfmeta.Episode(**arrays["batch"])
    return learner, iter(tf.data.Dataset.from_tensors(episodes).repeat())


def meta_gradient(case, arrays):
    """Loss and gradient at the initial weights, read off a step of plain gradient descent of size one."""
    learner, iterator = _make(case, arrays, lambda: keras.optimizers.SGD(1.0))
    loss = float(learner.train_function(iterator)["loss"])
    after = (variable.numpy() for variable in learner.trainable_variables)
    return loss, {name: value - new for (name, value), new in zip(arrays["weights"].items(), after, strict=True)}


def build(case, arrays):
    """The outer step."""
    learner, iterator = _make(case, arrays, lambda: keras.optimizers.Adam(OUTER_LR, epsilon=ADAM_EPSILON))

    def step():
        learner.reset_metrics()  # the logs then hold this step's loss, not the mean since the start
        return float(learner.train_function(iterator)["loss"])

    return step
