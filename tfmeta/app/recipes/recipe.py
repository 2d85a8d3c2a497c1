"""The form of a recipe: what a paper's method needs to be trained, shown in tables and compared with the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from tfmeta.app.nearest import did_you_mean

if TYPE_CHECKING:
    # Imported when there is work to do, see tfmeta/machine/command.py.
    import keras
    import tensorflow as tf

    # The settings check themselves against the recipes, so a recipe cannot import them.
    from tfmeta.app.settings import TrainSettings
    from tfmeta.datasets import ImageClasses

# Ways and shots of the four columns of the Omniglot table.
COLUMNS = ((5, 1), (5, 5), (20, 1), (20, 5))


@dataclasses.dataclass(frozen=True)
class Option:
    """An argument of one method's learner that no field of `TrainSettings` covers.

    Args:
        name: of the argument.
        type: `bool`, `int`, `float`, `str`, or `list` for a list of names.
        default: the value where nothing is said; `None` where the learner or the recipe decides.
        help: one line.
    """

    name: str
    type: type
    default: Any
    help: str

    def accepts(self, value: Any) -> bool:
        """Say whether a value is of the option's type; the learner checks its range."""
        if isinstance(value, bool) or self.type is bool:  # True is an int in Python, and not here
            return isinstance(value, bool) and self.type is bool
        if self.type is list:
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        return isinstance(value, int | float if self.type is float else self.type)

    def read(self, text: str) -> Any:
        """Read a text of the command line as a value; a text that cannot be read is given back."""
        if self.type is list:
            return text.split(",")
        if self.type is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        try:
            return self.type(text)
        except ValueError:
            return text

    def __str__(self):
        default = "" if self.default is None else f", {str(self.default).lower()} by default"
        kind = "names with commas between them" if self.type is list else self.type.__name__
        return f"{self.name} ({kind}{default}): {self.help}"


def training_episodes(settings: TrainSettings, train: ImageClasses, start: int) -> tf.data.Dataset:
    """Open the stream of episodes that most methods train on.

    Args:
        settings: sizes and seed.
        train: the training classes.
        start: number of outer steps done already; their meta-batches are passed over.

    Returns:
        A dataset without end, as from `episode_dataset`.
    """
    from tfmeta.tasks.sampling import episode_dataset

    return episode_dataset(
        train, n_way=settings.train_way or settings.n_way, k_shot=settings.train_shot or settings.k_shot,
        n_query=settings.n_query, meta_batch_size=settings.meta_batch_size, seed=settings.seed, start=start,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a method sets beside the others.

    Args:
        method: its name for `--method`.
        order: its place in the tables; a lower number comes first.
        label: its name in tables and figures.
        source: the paper and the place in it.
        build: function of (settings, training classes) that returns the learner, not compiled. It passes
            `settings.options` to the learner.
        settings: the fields of `TrainSettings` that its presets set.
        twenty_way: those that its 20-way presets set otherwise.
        deviations: each difference from the source, with its reason.
        paper: `"5w1s"` -> the paper's accuracy in percent and half its 95 % interval (`None` where it states none).
            A cell that the paper does not have is left out.
        preset: its name in the names of presets; `method` by default.
        options: the learner's arguments that `--set` can give.
        quickstart: the fields of `TrainSettings` of its quickstart preset, if it has one.
        quickstart_deviations: those of `deviations` that hold for the quickstart; all by default.
        training_data: function of (settings, training classes, first step) that returns its stream of training data.
        learns: False for a method without training.
        no_matter: the names of settings that its trained weights do not depend on, beyond those of every method.
        by_length: the names of options whose defaults depend on the number of steps in all.
    """

    method: str
    order: int
    label: str
    source: str
    build: Callable[[TrainSettings, ImageClasses], keras.Model]
    settings: dict[str, Any]
    twenty_way: dict[str, Any] = dataclasses.field(default_factory=dict)
    deviations: tuple[str, ...] = ()
    paper: dict[str, tuple[float, float | None]] = dataclasses.field(default_factory=dict)
    preset: str | None = None
    options: tuple[Option, ...] = ()
    quickstart: dict[str, Any] | None = None
    quickstart_deviations: tuple[str, ...] | None = None
    training_data: Callable[[TrainSettings, ImageClasses, int], tf.data.Dataset] = training_episodes
    learns: bool = True
    no_matter: tuple[str, ...] = ()
    by_length: tuple[str, ...] = ()

    def check_options(self, options: dict[str, Any]) -> None:
        """Refuse what the method has no option for.

        Args:
            options: name -> value.

        Raises:
            ValueError: if a name is unknown or a value has another type.
        """
        known = {option.name: option for option in self.options}
        wrong = [name for name, value in options.items() if name not in known or not known[name].accepts(value)]
        if wrong:
            hint = did_you_mean(next((name for name in wrong if name not in known), ""), known)
            raise ValueError(
                f"{self._known()}{hint} Received: {', '.join(f'{name}={options[name]!r}' for name in wrong)}"
            )

    def read_options(self, texts: Iterable[str]) -> dict[str, Any]:
        """Read the command line's `name=value`.

        Args:
            texts: of which a later one counts more than an earlier one.

        Returns:
            name -> value.

        Raises:
            ValueError: if a text is of another form, a name is unknown or a value has another type.
        """
        known = {option.name: option for option in self.options}
        options = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals:
                raise ValueError(f"--set must be name=value. {self._known()} Received: {text}")
            options[name] = known[name].read(value) if name in known else value
        self.check_options(options)
        return options

    def _known(self) -> str:
        names = ", ".join(f"{option.name} ({option.type.__name__})" for option in self.options)
        return f"options of {self.method} are {names}." if names else f"{self.method} has no options."
