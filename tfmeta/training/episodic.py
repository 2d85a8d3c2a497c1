"""The Keras shell of methods that learn from episodes: an outer step, evaluation, curves, and adapted models."""

from __future__ import annotations

import abc
from typing import Any

import keras
import tensorflow as tf

from tfmeta.core import casting, constant_memory, inner_loop, losses
from tfmeta.core.episode import Episode, task_spec
from tfmeta.core.forward import Tensors, values
from tfmeta.core.inner_loop import Adapted, Watch
from tfmeta.core.noise import without_dropout
from tfmeta.core.validation import check_steps
from tfmeta.training import episode_checks, finishing, inputs, judging, outputs, reading, replicas
from tfmeta.training.method import Method, Params, Run, TaskLoss
from tfmeta.training.parallel import SCALAR, map_tasks
from tfmeta.training.randomness import state_of_task, task_keys
from tfmeta.training.shell import Shell

_LOOPS = {"nested": inner_loop.adapt, "mixed": constant_memory.adapt_in_constant_memory}


class EpisodicLearner(Shell, abc.ABC):
    """A Keras model that is trained on meta-batches of episodes. Abstract; the learners are final.

    A learner says in `method` what it does with one task. All else is here, and the same for each.

    Args:
        network: the built Keras model that is learned.
        inner_steps: inner steps in training.
        eval_inner_steps: inner steps when evaluated or adapted; `inner_steps` by default.
        loss: function of (targets, outputs), a Keras loss or its name; by default cross-entropy for integer labels and
            mean squared error otherwise.
        name: Keras name.

    References:
        Vinyals et al. (2016), section 3. https://arxiv.org/abs/1606.04080
    """

    def __init__(self, network, *, inner_steps=0, eval_inner_steps=None, loss=None, name: str | None = None):
        eval_inner_steps = inner_steps if eval_inner_steps is None else eval_inner_steps
        check_steps(inner_steps=inner_steps, eval_inner_steps=eval_inner_steps)
        super().__init__([network], name=name)
        self.network = network
        self.inner_steps, self.eval_inner_steps = inner_steps, eval_inner_steps
        self.loss_function = outputs.loss_named(loss)
        self._ends = None  # what the network's outputs are, looked up once
        self.track("loss", "accuracy")
        for part in ("query", "support"):
            for moment in ("before", "after"):
                self.track(f"{part}_loss_{moment}", f"{part}_accuracy_{moment}")

    @property
    @abc.abstractmethod
    def method(self) -> Method:
        """What the method says of one task, by the learner's present settings."""

    has_inner_loop = property(lambda self: self.method.update is not None, doc="Whether it adapts in steps.")

    method_label = property(lambda self: self.method.label or type(self).__name__, doc="The method, such as FOMAML.")
    label = property(lambda self: self._given_name or self.method_label, doc="The user's name for it, or the method.")

    # -- one task --------------------------------------------------------------------------------------------------
    def loss_of(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The loss of both loops on one batch, a scalar."""
        if self.loss_function is not None:
            return tf.reduce_mean(self.loss_function(targets, outputs))
        return losses.default_loss(targets, outputs)

    def adapted(
        self, params: Params, episode: Episode, run: Run, *, steps: int | None = None, first_order: bool | None = None,
        watch: Watch | None = None, start: Tensors | None = None,
    ) -> Adapted:  # fmt: skip
        """The inner loop of one task; steps, order and start are by default those of the method and of `run`."""
        method = self.method
        fast = method.start(params, episode, run) if start is None else start
        if method.update is None:
            return Adapted(list(fast), ())

        def support_loss(fast, k):
            if method.support_loss is not None:
                return method.support_loss(fast, episode, run, k)
            return self.loss_of(episode.support_y, method.outputs(fast, episode.support_x, run, k))

        if steps is None:
            steps = self.inner_steps if run.training else self.eval_inner_steps
        if first_order is None:
            first_order = method.first_order or not run.training  # no derivative is taken at test time
        return _LOOPS[method.gradient_mode](
            support_loss, fast, method.update(params), steps,
            first_order=first_order, keep=method.keep if run.training else (), watch=watch,
        )  # fmt: skip

    def task_loss(self, params: Params, episode: Episode, run: Run) -> TaskLoss:
        """The loss of one task's queries at the fast weights (Finn et al., 2017, equation 2)."""
        fast = self.adapted(params, episode, run).params
        outputs = self.method.outputs(fast, episode.query_x, run, tf.constant(self.inner_steps))
        return TaskLoss(self.loss_of(episode.query_y, outputs), outputs)

    def task_gradient(self, params: Params, episode: Episode, run: Run) -> tuple[TaskLoss, Params]:
        """One task's contribution to an outer step."""
        if self.method.task_gradient is not None:
            return self.method.task_gradient(params, episode, run)
        task_loss = self.method.task_loss or self.task_loss
        return inner_loop.meta_gradient(lambda params: task_loss(params, episode, run), params)

    def _seen(self, episode: Episode) -> Episode:
        """What the method looks at instead of an episode at test time."""
        return episode if self.method.seen is None else self.method.seen(episode)

    # -- the outer step ----------------------------------------------------------------------------------------------
    def outer_step(self, data) -> dict[str, tf.Tensor]:
        """Learn from one meta-batch: the mean of the tasks' gradients, applied by the compiled optimizers."""
        method = self.method
        if method.learn is not None:
            return method.learn(data)
        episodes = reading.episodes_of(data)
        params = self.parameters()
        statistics = values(method.statistics)
        hits = self.hits_of(task_spec(episodes))

        def one_task(task):
            episode, key = task
            found, gradients = self.task_gradient(params, episode, Run(True, key, state_of_task(self.network, key)))
            correct = 0.0 if hits is None else hits.share(episode.query_y, found.outputs)
            loss = found.value if found.reported is None else found.reported
            return tf.cast(loss, tf.float32), correct, gradients, list(found.statistics)

        like = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), (params, statistics))
        keys = task_keys(self.optimizer, tf.shape(episodes.support_y)[0])
        loss, accuracy, gradients, seen = map_tasks(one_task, (episodes, keys), (SCALAR, SCALAR, *like))
        self.apply(tf.nest.map_structure(lambda gradient: tf.reduce_mean(gradient, axis=0), gradients))
        replicas.assign(list(method.statistics), replicas.mean_over_tasks(statistics, seen))
        return {"loss": loss} | ({} if hits is None else {"accuracy": accuracy})

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every batch of `fit`."""
        return self.report(self.outer_step(data))

    def parameter_groups(self):
        """What the outer loop learns, in named groups."""
        return self.method.parameters

    @property
    def undecayed_groups(self):
        """Groups that weight decay leaves alone."""
        return self.method.undecayed

    def parameters(self) -> dict[str, list[tf.Tensor]]:
        """The present values of what the outer loop learns, in named groups."""
        return {name: values(variables) for name, variables in self.parameter_groups().items()}

    @property
    def meta_variables(self) -> list[keras.Variable]:
        """What the outer loop learns, in one list."""
        return [variable for group in self.parameter_groups().values() for variable in group]

    # -- test time -------------------------------------------------------------------------------------------------
    def fast_weights(self, episode: Episode, inner_steps: int | None = None, *, key: int = 0) -> list[tf.Tensor]:
        """Theta' for one task.

        Args:
            episode: one task, without a meta-batch axis; only its support set is looked at.
            inner_steps: `eval_inner_steps` by default.
            key: the task's randomness, for methods that have any at test time.

        Returns:
            Tensors in the order of `network.trainable_variables`, and after them what the method appends, such as a
            head made for the task.

        References:
            Finn et al. (2017), algorithm 1, line 6. https://arxiv.org/abs/1703.03400
        """
        steps = self.eval_inner_steps if inner_steps is None else inner_steps
        episode = inputs.check_task(self, episode, inner_steps=steps)
        with without_dropout(self.network):
            run = Run(key=tf.cast(key, tf.int64))
            fast = self.adapted(self.parameters(), self._seen(episode), run, steps=steps).params
        return list(fast) if self.method.weights is None else self.method.weights(fast, steps)

    def query_outputs(self, episode: Episode, *, transductive: bool = True, key: tf.Tensor | None = None) -> tf.Tensor:
        """Outputs on the query set after adaptation.

        Args:
            episode: one task, without a meta-batch axis.
            transductive: let batch norm use the statistics of all queries together, as MAML's code does. Else each
                query is judged in a batch of its own with the support set. It makes no difference to a network that
                runs in inference mode.
            key: the task's randomness, for methods that have any at test time.

        Returns:
            `[n_way * n_query, n_outputs]`; of several adapted models per task the logarithm of their mean
            probabilities, or their mean for regression.

        References:
            Nichol et al. (2018), section 6.1, for both modes. https://arxiv.org/abs/1803.02999
        """
        task = self._seen(inputs.check_task(self, episode, 0, transductive))
        return judging.query_outputs(self, task, transductive, tf.zeros([], tf.int64) if key is None else key)

    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""
        return judging.batch_norm_mode(self, transductive)

    def evaluation_settings(self) -> dict[str, Any]:
        """Settings at test time that a reader of a score must know."""
        steps = {"inner_steps": self.eval_inner_steps} if self.has_inner_loop else {}
        return steps | dict(self.method.settings)

    def adaptation_path(self, episode: Episode, inner_steps: int) -> dict[str, tf.Tensor]:
        """Support and query loss of one task, and accuracies for classification (Finn et al., 2017, figure 3).

        Each is float32 `[inner_steps + 1]`, the first entry before adaptation.
        """
        task = inputs.check_task(self, episode, inner_steps, queries=True)
        return judging.adaptation_path(self, self._seen(task), inner_steps)

    def measure(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """What `evaluate` reports of a meta-batch, one value a task."""
        return judging.measure(self, episodes)

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every meta-batch of `evaluate` and of validation."""
        return self.report(self.measure(reading.episodes_of(data)))

    def call(self, x, training=False):
        """The network's own output before any adaptation."""
        return self.network(x, training=training) if self.method.call is None else self.method.call(x, training)

    def adapt(self, support_x, support_y, inner_steps: int | None = None, *, class_names=None) -> keras.Model:
        """Adapt to a new task.

        Args:
            support_x: `[n_way * k_shot, ...]`, scaled as in training.
            support_y: labels `[n_way * k_shot]`, integers from 0 to `n_way - 1` or names; or targets.
            inner_steps: inner steps; `eval_inner_steps` by default.
            class_names: of labels 0, 1, ..., kept in the model for `tfmeta.predict_classes`; sorted names by default.

        Returns:
            An ordinary Keras model for the task, whose `predict` gives logits of new inputs `[batch, ...]` in the range
            of training. The learner is unchanged. After `import tfmeta` it loads with `keras.models.load_model`.

        Raises:
            ValueError: if inputs, labels and names do not fit each other or the learner, or `inner_steps` are given to
                a method without an inner loop.

        References:
            Finn et al. (2017), algorithm 1, line 6. https://arxiv.org/abs/1703.03400

        Note:
            Where the network runs in training mode at test time, batch norm of the model holds the support set's
            statistics: predictions do not depend on which images come together.
        """
        support_y, names = finishing.labels_and_names(support_y, class_names)
        task = inputs.support_task(self, support_x, support_y, inner_steps)
        model = judging.adapted_model(self, task, inner_steps)
        return finishing.predicting_quietly(finishing.finish(model, task.support_x, self.input_scale, names))

    # -- checks, before any work starts --------------------------------------------------------------------------------
    @property
    def sizes_depend_on_data(self) -> bool:
        """Whether the number of classes is read off the labels."""
        return self.method.makes_head

    def cast(self, episode: Episode, axes: int = 1) -> Episode:
        """A task, or with 2 axes a meta-batch, of one's own as tensors: labels int32, inputs floats."""
        return casting.as_episode(episode, axes, squeeze=self.loss_function is None)

    def ends(self, x) -> outputs.Outputs:
        """What the network's outputs are for inputs `[batch, ...]`."""
        if self._ends is None:
            width = self.method.n_outputs
            self._ends = outputs.outputs_of(self.network, x) if width is None else outputs.Outputs((width,), "MatMul")
        return self._ends

    def hits_of(self, task: Episode) -> outputs.Hits | None:
        """How hits on a task are counted, None where nothing can be counted; looks at types and shapes alone."""
        return outputs.hits_of(self, task)

    def check_episode(self, episode: Episode, *, training: bool = False) -> Episode:
        """Refuse a meta-batch that does not fit the learner, with a ValueError that says what; else return it, cast."""
        episode = self.cast(episode, axes=2)
        episode_checks.check_episode(self, episode, training)
        return episode

    def check_training_data(self, dataset):
        """Refuse other kinds of data by a TypeError, data that do not fit by a ValueError; else return them, cast."""
        if self.method.check_data is None:
            return inputs.check_dataset(self, dataset, "x", training=True)
        self.method.check_data(dataset)
        return dataset

    def fit(self, x=None, *args, **kwargs):
        """Keras's `fit` on a dataset of meta-batches (`episode_dataset`), checked before the first step.

        A meta-batch, or a list of single episodes of one size, is a dataset of one meta-batch: one outer step an epoch.
        An endless stream is read on: a second call goes on with the meta-batch after the last one of the first call.
        """
        given = reading.fit_arguments(x, args, kwargs)
        x = inputs.as_dataset(self, x, "x") if self.method.check_data is None else x
        checked = self.check_training_data(x)
        reading.set_modes(given.get("callbacks"), list(self._trackers))
        reading.check_end(checked, "x", "steps_per_epoch", given.get("steps_per_epoch"))
        if (validation := given.get("validation_data")) is not None:
            reading.check_end(validation, "validation_data", "validation_steps", given.get("validation_steps"))
            given["validation_data"] = inputs.check_dataset(self, validation, "validation_data")
        # Of what was given, not of the dataset that casts it, which is a new one each time.
        with self._readings.further(self, x) as rest:
            return super().fit(casting.as_given(rest, squeeze=self.loss_function is None), **given)

    def evaluate(self, x=None, *args, **kwargs):
        """Keras's `evaluate` on finite data, as `fit` takes them. `tfmeta.evaluate` adds the confidence interval."""
        if not kwargs.get("_use_cached_eval_dataset"):  # which is the validation of `fit`, checked there
            reading.check_end(x, "x", "steps", kwargs.get("steps"))
            x = inputs.check_dataset(self, x, "x")
        return super().evaluate(x, *args, **kwargs)
