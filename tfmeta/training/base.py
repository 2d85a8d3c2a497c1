"""What every learner's Keras shell shares: checked input, tasks in parallel, a compile without a loss."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfmeta import functional
from tfmeta.core.episode import Episode
from tfmeta.machine import threads
from tfmeta.training import inputs, replicas, weight_decay


def map_tasks(function: Callable[[Episode], Any], episodes: Episode, signature: Any) -> Any:
    """Apply a function to every task of a meta-batch, tasks side by side on the CPU's cores.

    Args:
        function: takes one `Episode` without a meta-batch axis.
        episodes: an `Episode` with a leading axis `[meta_batch_size]`.
        signature: `tf.TensorSpec`s of one result, nested as the function returns them.

    Returns:
        The results, each with a leading axis `[meta_batch_size]`.

    References:
        Finn et al. (2017), algorithm 2, line 4: "for all tasks". https://arxiv.org/abs/1703.03400
    """
    return tf.map_fn(function, episodes, parallel_iterations=threads.parallel_tasks(), fn_output_signature=signature)


def like(tensors: functional.Tensors) -> list[tf.TensorSpec]:
    """Specs of tensors of these shapes and types, for `map_tasks`."""
    return [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]


def is_random_state(variable: keras.Variable) -> bool:
    """Whether the variable is the state of a layer's random numbers, such as dropout's."""
    return variable.path.endswith("seed_generator_state")


def _episodes(data) -> Episode:
    """The meta-batch itself: `train_on_batch` and `test_on_batch` wrap it in a tuple of inputs, targets, weights."""
    return data if isinstance(data, Episode) else data[0]


class _CompiledMaps:
    """Holds a learner's graphs out of sight of Keras, which would track and save a plain dictionary."""

    def __init__(self):
        self.functions = {}


SCALAR = tf.TensorSpec([], tf.float32)


class EpisodicModel(keras.Model, abc.ABC):
    """A Keras model that is trained on meta-batches of episodes. Abstract; the learners are final.

    A learner says how one task is classified (`query_outputs`) and how a meta-batch trains it (`train_step`).
    Everything else, the progress bar, callbacks, logs, checkpoints and saving, is Keras's own. Losses are those of the
    papers: a layer's own regularizers are not added; for weight decay give it to the optimizer.

    Args:
        network: the built Keras model that is learned.
        name: Keras name.

    References:
        Vinyals et al. (2016), section 3: training conditions are made to match test conditions.
        https://arxiv.org/abs/1606.04080
    """

    # Whether the number of classes is read off the labels, so that sizes in the graph depend on data.
    counts_classes = False

    def __init__(self, network: keras.Model, name: str | None = None):
        threads.prefer_tasks()
        super().__init__(name=name)
        self._trackers = {}
        self._compiled_maps = _CompiledMaps()
        self._network_of_tasks = network
        self.built = True

    # -- what a learner must say ---------------------------------------------------------------------------------
    @abc.abstractmethod
    def query_outputs(self, episode: Episode, *, transductive: bool = True) -> tf.Tensor:
        """Outputs on the query set `[n_way * n_query, n_outputs]` of one task, after adapting to its support set."""

    @abc.abstractmethod
    def batch_norm_mode(self, *, transductive: bool = True) -> str:
        """In words: which statistics batch norm uses when queries are judged."""

    @abc.abstractmethod
    def adapt(self, support_x, support_y) -> keras.Model:
        """An ordinary Keras model for the task that the support set describes."""

    @abc.abstractmethod
    def outer_step(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """Learn from one meta-batch; returns what to report, scalars or one value a task."""

    @abc.abstractmethod
    def measure(self, episodes: Episode) -> dict[str, tf.Tensor]:
        """Losses and accuracies on one meta-batch, without learning; scalars or one value a task."""

    @property
    def without_weight_decay(self) -> list[keras.Variable]:
        """What `fit` learns that is no weight of a network, and that `Adam(weight_decay=...)` must leave alone."""
        return []

    def evaluation_settings(self) -> dict[str, Any]:
        """Settings at test time that a reader of a score must know."""
        return {}

    def check_episode(self, episode: Episode) -> None:
        """Refuse a meta-batch that does not fit the learner, before any work starts."""
        wanted, received = inputs.known_shape(self._network_of_tasks, "input_shape"), tuple(episode.support_x.shape[2:])
        if wanted is None:
            return
        if len(wanted) != len(received) or any(w not in (None, r) for w, r in zip(wanted, received, strict=True)):
            raise ValueError(f"the learner takes inputs of shape {wanted}. Received: support_x with {received}")

    def checked_support(self, support_x, support_y) -> Episode:
        """A support set as a task of its own, whose queries are the support set.

        Raises:
            ValueError: if inputs and labels do not fit each other or the learner.
        """
        support_x, support_y = inputs.check_support(support_x, support_y)
        task = Episode(support_x, support_y, support_x, support_y)
        self.check_episode(Episode(*(tensor[None] for tensor in task)))
        return task

    def check_training_episode(self, episode: Episode) -> None:
        """The same for a meta-batch of `fit`, where training asks for something else."""
        self.check_episode(episode)

    # -- what they share ---------------------------------------------------------------------------------------------
    def compile(self, optimizer="adam", *, jit_compile=False, run_eagerly=False, steps_per_execution=1):
        """Set the outer loop's optimizer. The loss belongs to the learner; see its constructor.

        Args:
            optimizer: a Keras optimizer or its name. It *is* the outer loop; its rate may follow a schedule.
            jit_compile: compile with XLA. Off unless asked for: XLA is slower here on CPUs, and computes the second
                derivative of max-pooling wrongly.
            run_eagerly: run step by step in Python, to debug.
            steps_per_execution: meta-batches per call into the graph.

        Raises:
            ValueError: if the network computes in float16, in which gradients of gradients vanish, or `jit_compile` is
                asked of a learner whose sizes XLA cannot know beforehand.

        References:
            Finn et al. (2017), algorithm 2, line 10. https://arxiv.org/abs/1703.03400
        """
        half = [layer.name for layer in self._network_of_tasks._flatten_layers() if layer.compute_dtype == "float16"]
        if half:
            raise ValueError(
                "a network in mixed precision must be made under the policy mixed_bfloat16: gradients of gradients are "
                f"too small for float16, and scaling the loss does not reach them. Received: float16 in {half[0]!r}"
            )
        if jit_compile and self.counts_classes:
            raise ValueError(
                f"jit_compile must be False: XLA wants sizes beforehand, and {type(self).__name__} counts the classes "
                f"of each episode. Received: jit_compile={jit_compile!r}"
            )
        super().compile(
            optimizer=optimizer,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
        )
        weight_decay.spare(self.without_weight_decay, self.optimizer)
        # Made now rather than in the first step, which would be traced a second time for it.
        self.optimizer.build(self.trainable_variables)
        self._episodic_compile = {
            "jit_compile": jit_compile, "run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution
        }  # fmt: skip

    def get_compile_config(self):
        """What `compile` was given, so that a loaded learner goes on training with its optimizer's state."""
        if not self.compiled:
            return None
        return {"optimizer": keras.saving.serialize_keras_object(self.optimizer), **dict(self._episodic_compile)}

    def compile_from_config(self, config):
        """Compile a loaded learner as it was compiled when saved."""
        config = dict(config)
        self.compile(optimizer=keras.saving.deserialize_keras_object(config.pop("optimizer")), **config)

    def load_weights(self, filepath, **options):
        """Keras's `load_weights`, with one clear error where the file belongs to another architecture.

        Raises:
            ValueError: naming the file.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras warns of each part before it fails on the first
                super().load_weights(filepath, **options)
        except ValueError as error:
            raise ValueError(
                f"the weights must be those of this learner's architecture, {self._network_of_tasks.count_params()} "
                f"parameters in {self._network_of_tasks.name!r}. Received: filepath={str(filepath)!r} ({error})"
            ) from error

    def fit(self, x=None, *args, **kwargs):
        """Keras's `fit` on a dataset of meta-batches (`episode_dataset`), checked before the first step."""
        self.check_training_data(x)
        if kwargs.get("validation_data") is not None:
            self._check_dataset(kwargs["validation_data"], "validation_data", self.check_episode)
        # Episodes come shuffled; Keras warns where its default is left in place.
        return super().fit(x, *args, **{"shuffle": False, **kwargs})

    def evaluate(self, x=None, *args, **kwargs):
        """Keras's `evaluate` on a finite dataset of meta-batches. `tfmeta.evaluate` adds the confidence interval."""
        self._check_dataset(x, "x", self.check_episode)
        return super().evaluate(x, *args, **kwargs)

    def check_training_data(self, dataset) -> None:
        """Refuse what `fit` cannot take, before any work starts.

        Raises:
            TypeError: if it is no dataset of meta-batches.
            ValueError: if the first one does not fit the learner or the devices.
        """
        self._check_dataset(dataset, "x", self.check_training_episode)

    def _check_dataset(self, dataset, name: str, check: Callable[[Episode], None]) -> None:
        spec = getattr(dataset, "element_spec", None)
        if not isinstance(dataset, tf.data.Dataset | tf.distribute.DistributedDataset) or not isinstance(spec, Episode):
            raise TypeError(
                f"{name} must be a tf.data.Dataset of Episode, such as episode_dataset(...). "
                f"Received: {name} of type {type(dataset).__name__}, elements {spec}"
            )
        if isinstance(dataset, tf.data.Dataset):
            for episode in dataset.take(1):
                check(episode)
                replicas.check_even("meta_batch_size", episode.support_y.shape[0], self.distribute_strategy)

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every meta-batch of `fit`."""
        return self._report(self.outer_step(_episodes(data)))

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """What Keras calls for every meta-batch of `evaluate` and of validation."""
        return self._report(self.measure(_episodes(data)))

    def map_compiled(self, function: Callable, episodes: Episode, signature: Any, *, key: tuple) -> Any:
        """`map_tasks` as a graph that is traced once and kept, for calls outside `fit`.

        Args:
            function: takes one `Episode`; reads nothing that changes but weights and what `key` names.
            episodes: a meta-batch.
            signature: as for `map_tasks`.
            key: names the function and all settings that it depends on.

        Returns:
            As `map_tasks`.

        References:
            TensorFlow, "Better performance with tf.function". https://www.tensorflow.org/guide/function
        """
        key = (*key, *sorted(self.evaluation_settings().items()))
        if key not in self._compiled_maps.functions:
            self._compiled_maps.functions[key] = tf.function(
                lambda meta_batch: map_tasks(function, meta_batch, signature),
                jit_compile=False,
                reduce_retracing=True,
                autograph=False,  # there is no Python control flow to convert, and converting takes time
            )
        return self._compiled_maps.functions[key](episodes)

    def _salts(self, episodes: Episode) -> tf.Tensor:
        """A number of its own for every task of every outer step, `[meta_batch_size]`."""
        size = tf.cast(tf.shape(episodes.support_y)[0], tf.int64)
        first = self.optimizer.iterations.value * size * replicas.number() + replicas.first_task(size)
        return first + tf.range(size)

    def _task_state(self, salt: tf.Tensor) -> list[tf.Tensor]:
        """Non-trainable values for one task, with a random state of its own where there is dropout."""
        return [
            variable.value + tf.cast(tf.stack([tf.zeros_like(salt), salt]), variable.dtype)
            if is_random_state(variable)
            else tf.convert_to_tensor(variable.value)
            for variable in self._network_of_tasks.non_trainable_variables
        ]

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras looks at a batch to build what is not built, and trips over one that is spread over several workers.
        # Learners are built when they are made.
        pass

    def _report(self, results: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Running means over the epoch, of scalars or of one value a task, for the progress bar."""
        for name, value in results.items():
            self._trackers[name].update_state(value)
        reported = {name: self._trackers[name].result() for name in results}
        # Keras takes the workers' mean along the first axis, which a scalar lacks.
        return {name: value[None] for name, value in reported.items()} if replicas.across_workers() else reported

    def _track(self, *names: str) -> None:
        for name in names:
            self._trackers[name] = keras.metrics.Mean(name=name)

    @property
    def metrics(self):
        """The running means, reset by Keras at the start of every epoch."""
        return list(self._trackers.values())

    def call(self, x, training=False):
        """The network's own output before any adaptation."""
        return self._network_of_tasks(x, training=training)
