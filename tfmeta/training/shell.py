"""The Keras shell of everything that is learned here, whatever its data: compile without a loss, reports, saving."""

from __future__ import annotations

import abc
import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmeta.core.forward import Tensors
from tfmeta.core.validation import check_flags, check_sizes
from tfmeta.machine import threads
from tfmeta.training import network_checks, replicas, weight_decay
from tfmeta.training.parallel import Graphs, graph_settings, without_tracing_advice
from tfmeta.training.portable import portable
from tfmeta.training.reading import Readings
from tfmeta.training.scale import Scale


@functools.cache
def _arguments(cls: type) -> tuple[str, ...]:
    """Names of a constructor's arguments."""
    return tuple(inspect.signature(cls.__init__).parameters)[1:]


def _optimizer(name: str, given) -> keras.optimizers.Optimizer:
    try:
        found = keras.optimizers.get(given)
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"{name} must have a Keras optimizer or the name of one. Received: {name}={given!r}")
    return found


def _prepare(optimizer: keras.optimizers.Optimizer, variables, undecayed) -> None:
    mine = {id(variable) for variable in variables}
    weight_decay.spare([variable for variable in undecayed if id(variable) in mine], optimizer)
    optimizer.build(variables)


class Shell(keras.Model, abc.ABC):
    """A Keras model whose losses are its own. Abstract; says nothing of episodes.

    It has groups of parameters, each with an optimizer, and reports running means. The progress bar, callbacks, logs,
    checkpoints and saving are Keras's own. Layers' own regularizers are not added; for weight decay give it to the
    optimizer. Constructor arguments are kept in attributes of the same names, from which `get_config` reads them.

    Args:
        networks: the built Keras models that are learned.
        name: Keras name.

    References:
        Finn et al. (2017), algorithm 2. https://arxiv.org/abs/1703.03400
    """

    updates_per_batch = 1  # steps of the optimizer for one batch of `fit`

    def __init__(self, networks: Sequence[keras.Model], name: str | None = None):
        threads.prefer_tasks()
        super().__init__(name=name)
        self._given_name = name  # Keras makes one up where none is given
        self._trackers = {}
        self._networks = tuple(networks)
        self._graphs = Graphs()
        self._readings = Readings()
        self._passed = None  # the last check that needs a trace, and the settings with which it passed
        self.input_scale = None  # the range of the images of training
        self.built = True

    @abc.abstractmethod
    def parameter_groups(self) -> Mapping[str, Sequence[keras.Variable]]:
        """What the outer loop learns, in named groups."""

    @property
    @abc.abstractmethod
    def undecayed_groups(self) -> Sequence[str]:
        """Groups that are not weights of a network, which `Adam(weight_decay=...)` must leave alone."""

    @property
    @abc.abstractmethod
    def sizes_depend_on_data(self) -> bool:
        """Whether sizes in the graph depend on data; XLA must know them beforehand."""

    # -- compile ---------------------------------------------------------------------------------------------------
    def compile(
        self, optimizer="adam", *, group_optimizers=None, jit_compile=False, run_eagerly=False, steps_per_execution=1,
        loss=None, metrics=None,
    ):  # fmt: skip
        """Set the outer loop's optimizer. The loss belongs to the learner; see its constructor.

        Args:
            optimizer: a Keras optimizer or its name. It *is* the outer loop; its rate may follow a schedule.
            group_optimizers: optimizers of single groups of parameters by the group's name, such as `{"rates": "sgd"}`;
                `optimizer` takes the others.
            jit_compile: compile with XLA. Off unless asked for: XLA is slower on CPUs, and computes the second
                derivative of max-pooling wrongly. On a GPU methods with an inner loop are 6 to 12 times faster with it.
            run_eagerly: run step by step in Python, to debug.
            steps_per_execution: meta-batches per call into the graph.
            loss: must be None; it is an argument of the learner's constructor.
            metrics: must be None; loss and accuracy are reported.

        Raises:
            ValueError: if a loss or metrics are given, a network computes in float16, in which gradients of gradients
                vanish, `jit_compile` is asked of a learner whose sizes XLA cannot know beforehand, or a group is
                unknown.

        References:
            Finn et al. (2017), algorithm 2, line 10. https://arxiv.org/abs/1703.03400
        """
        for name, value in (("loss", loss), ("metrics", metrics)):
            if value is not None:
                raise ValueError(
                    f"compile takes no {name}: both loops have the loss of the learner's constructor, such as "
                    f"MAML(network, loss='mse'), and report it with the accuracy. Received: {name}={value!r}"
                )
        for network in self._networks:
            network_checks.warn_of_penalties(network)
        network_checks.check_precision(self._networks)
        if jit_compile and self.sizes_depend_on_data:
            raise ValueError(
                f"jit_compile must be False: XLA wants sizes beforehand, and {type(self).__name__} counts the classes "
                f"of each episode. Received: jit_compile={jit_compile!r}"
            )
        check_flags(jit_compile=jit_compile, run_eagerly=run_eagerly)
        check_sizes(steps_per_execution=steps_per_execution)
        if not isinstance(group_optimizers, Mapping | None):
            raise TypeError(f"group_optimizers must be a dictionary. Received: {group_optimizers=}")
        groups = self.parameter_groups()
        if unknown := sorted(set(group_optimizers or ()) - set(groups)):
            raise ValueError(
                f"group_optimizers must name groups of parameters, {', '.join(groups)}. "
                f"Received: group_optimizers with {', '.join(map(repr, unknown))}"
            )
        options = {"jit_compile": jit_compile, "run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution}
        found = {name: _optimizer(name, one) for name, one in (group_optimizers or {}).items()}
        super().compile(optimizer=_optimizer("optimizer", optimizer), **options)
        self.group_optimizers = found
        undecayed = [v for name in self.undecayed_groups for v in groups[name]]
        elsewhere = {id(v) for name in self.group_optimizers for v in groups[name]}
        own = [v for v in self.trainable_variables if id(v) not in elsewhere]
        # Made now rather than in the first step, which would be traced a second time for it.
        _prepare(self.optimizer, own, undecayed)
        for group, one in self.group_optimizers.items():
            _prepare(one, groups[group], undecayed)
        self._compile_options = options

    def apply(self, gradients: Mapping[str, Tensors]) -> None:
        """One step of every optimizer, on this replica's means over its tasks.

        Args:
            gradients: named like `parameter_groups()`.
        """
        groups = self.parameter_groups()
        rest = [name for name in groups if name not in self.group_optimizers]
        for optimizer, names in ((self.optimizer, rest), *((one, [n]) for n, one in self.group_optimizers.items())):
            found = replicas.share([gradient for name in names for gradient in gradients[name]])
            optimizer.apply(found, [variable for name in names for variable in groups[name]])

    # -- reports ---------------------------------------------------------------------------------------------------
    def track(self, *names: str) -> None:
        """Keep running means under these names."""
        for name in names:
            self._trackers[name] = keras.metrics.Mean(name=name)

    def report(self, results: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Running means over the epoch, of scalars or of one value a task, for the progress bar."""
        for name, value in results.items():
            self._trackers[name].update_state(value)
        reported = {name: self._trackers[name].result() for name in results}
        # Keras takes the workers' mean along the first axis, which a scalar lacks.
        return {name: value[None] for name, value in reported.items()} if replicas.across_workers() else reported

    @property
    def metrics(self):
        """The running means, reset by Keras at the start of every epoch."""
        return list(self._trackers.values())

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        pass  # Learners are built when they are made; Keras looks at a batch, and trips over one of several workers.

    def check_once(self, check: Callable, *arguments) -> None:
        """Check what takes a trace to find out, once for each setting."""
        if (settings := (check, graph_settings(self))) != self._passed:
            check(*arguments)
            self._passed = settings

    # -- graphs that are kept ----------------------------------------------------------------------------------------
    def map_compiled(self, function: Callable, tasks: Any, signature: Any, *, key: tuple) -> Any:
        """`map_tasks` as a graph that is traced once and kept, for calls outside `fit`.

        Args:
            function: takes one task; reads nothing that changes but weights, settings and what `key` names.
            tasks: a nest of tensors with a leading axis `[meta_batch_size]`, such as an `Episode`.
            signature: `tf.TensorSpec`s of one result.
            key: names the function and all else that it depends on.

        Returns:
            The results, each with a leading axis `[meta_batch_size]`.
        """
        return self._graphs.map(function, tasks, signature, (graph_settings(self), key))

    def make_train_function(self, force=False):
        """Keras's; traced again wherever a setting is changed, be it by a callback in the middle of `fit`."""
        if force or self.train_function is None:
            super().make_train_function(force)
            self.train_function = self._following("train_function", self.make_train_function)

    def make_test_function(self, force=False):
        """As `make_train_function`."""
        if force or self.test_function is None:
            super().make_test_function(force)
            self.test_function = self._following("test_function", self.make_test_function)

    def _following(self, name: str, make: Callable) -> Callable:
        traced, settings = getattr(self, name), graph_settings(self)

        def function(iterator):
            if graph_settings(self) == settings:
                with without_tracing_advice():
                    return traced(iterator)
            make(force=True)
            return getattr(self, name)(iterator)

        return function

    # -- saving ----------------------------------------------------------------------------------------------------
    def options(self) -> dict[str, Any]:
        """The constructor's arguments as they are now."""
        # Keras has an attribute `loss` of its own, which `compile` sets.
        kept = {name: "loss_function" if name == "loss" else name for name in _arguments(type(self))}
        found = {name: getattr(self, attribute) for name, attribute in kept.items()}
        return {name: list(value) if isinstance(value, list | tuple) else value for name, value in found.items()}

    def get_config(self):
        """All constructor arguments, networks as their own configuration; the range of training's images; the label."""
        config = {
            name: portable(keras.saving.serialize_keras_object(value))
            if hasattr(value, "get_config") or callable(value)
            else value
            for name, value in self.options().items()
        }
        kept = {"input_scale": None if self.input_scale is None else list(self.input_scale), "label": self._given_name}
        return config | {name: value for name, value in kept.items() if value is not None}

    @classmethod
    def from_config(cls, config):
        """Rebuild from `get_config()`."""
        config = dict(config)
        scale, label = config.pop("input_scale", None), config.pop("label", None)
        if "learner" in config:  # written when every network was called so
            config[_arguments(cls)[0]] = config.pop("learner")
        given = {
            name: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
            for name, value in config.items()
        }
        learner = cls(**given)
        learner.input_scale = None if scale is None else Scale(*scale)
        learner._given_name = label
        return learner

    def get_compile_config(self):
        """What `compile` was given, so that a loaded learner goes on training with its optimizer's state."""
        if not self.compiled:
            return None
        serialize = lambda value: portable(keras.saving.serialize_keras_object(value))  # noqa: E731
        config = {"optimizer": serialize(self.optimizer), **self._compile_options, "read": self._readings.to_dict()}
        if self.group_optimizers:
            config["group_optimizers"] = {name: serialize(one) for name, one in self.group_optimizers.items()}
        return config

    def compile_from_config(self, config):
        """Compile a loaded learner as it was compiled when saved."""
        config, read = dict(config), keras.saving.deserialize_keras_object
        groups = {name: read(one) for name, one in config.pop("group_optimizers", {}).items()}
        self._readings = Readings(config.pop("read", {}))
        self.compile(optimizer=read(config.pop("optimizer")), group_optimizers=groups, **config)

    def export(self, filepath, *args, **options):
        """Keras's `export`, of the network's own output before any adaptation. An adapted model exports itself.

        Raises:
            ValueError: if the network does not know the shape of its inputs.
        """
        network = self._networks[0]
        if not getattr(network, "inputs", None):
            raise ValueError(
                "export must know the shape of the inputs: make the network a functional Keras model, or export "
                f"what adapt() returns. Received: network={network.name!r} of type {type(network).__name__}"
            )
        try:
            inputs = network.input
        except AttributeError:  # of a Sequential that has not been called
            inputs = network.inputs[0]
        like = tf.nest.map_structure(lambda x: keras.InputSpec(shape=x.shape, dtype=x.dtype), inputs)
        return super().export(filepath, *args, **{"input_signature": [like], **options})

    def load_weights(self, filepath, **options):
        """Keras's `load_weights`, with one clear error where the file belongs to another architecture.

        Raises:
            ValueError: naming the file.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras warns of each part before it fails on the first
                super().load_weights(filepath, **options)
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            names = ", ".join(f"{network.name!r} of {network.count_params()} parameters" for network in self._networks)
            raise ValueError(
                f"the weights must be those of this learner's architecture, {names}. "
                f"Received: filepath={str(filepath)!r} ({error})"
            ) from error
