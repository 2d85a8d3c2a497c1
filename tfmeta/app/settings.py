"""Everything that defines a training run, in one frozen record; `tfmeta.app.presets` fills it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfmeta.app import readers
from tfmeta.app.methods import OTHER_NAMES, RECIPES
from tfmeta.app.nearest import did_you_mean
from tfmeta.app.recipes.recipe import Recipe

METHODS = tuple(RECIPES)
DATASETS = ("omniglot", "omniglot-lake", "glyphs")


def _setting(default: Any, help: str, *, choices: tuple[str, ...] = (), least: int = 1) -> Any:
    """A field with all that the docstring, the checks and the command line say of it."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "least": least})


def _of_a_folder(default: Any, help: str, read: Callable[[str, Any], Any]) -> Any:
    """A field for folders of images; `read` takes its name and a value, or what the command line has in its place.

    Files from before there was such a field have none, and none is written where nothing is asked for.
    """
    return dataclasses.field(default=default, metadata={"help": help, "read": read, "later": True})


def _list_fields(record: type) -> type:
    """Write the docstring's `Args` from the fields, so that each has one description."""
    lines = [f"{field.name}: {field.metadata['help']}" for field in dataclasses.fields(record)]
    record.__doc__ = inspect.cleandoc(record.__doc__).replace("FIELDS", "\n    ".join(lines))
    return record


@_list_fields
@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Settings of `tfmeta train`. Each field is an option of the command; `options` are given by `--set`.

    Args:
        FIELDS

    Raises:
        ValueError: if a value is out of range, or the method has no such option.

    References:
        Finn et al. (2017), appendix A.1 https://arxiv.org/abs/1703.03400; Snell et al. (2017), section 3.1
        https://arxiv.org/abs/1703.05175
    """

    method: str = _setting(
        "maml",
        f"One of {', '.join(METHODS)}; maml by default. Or rl2, which plays trials: see docs/trials.md.",
        choices=METHODS,
    )
    dataset: str = _setting(
        "omniglot", f"{', '.join(DATASETS)}, or a folder with a folder of images per class. Of rl2 its tasks, bandits."
    )
    image_size: int | tuple[int, int] = _of_a_folder(
        28, "Height and width of a folder's images in pixels, one number or HxW.", readers.image_size
    )
    grayscale: bool = _of_a_folder(False, "Turn a folder's images grey.", readers.flag)
    fractions: tuple[float, ...] | None = _of_a_folder(
        None, "Shares of a folder's classes for training, validation and test, or for training and test alone.",
        readers.fractions,
    )  # fmt: skip
    n_way: int = _setting(5, "Classes in an episode, in training and when scored.")
    train_way: int | None = _setting(None, "Classes in a training episode where they differ (prototypical: 60).")
    k_shot: int = _setting(1, "Support images per class.")
    train_shot: int | None = _setting(None, "Support images per class in training where they differ (Reptile: more).")
    n_query: int = _setting(1, "Query images per class in training.")
    meta_batch_size: int = _setting(32, "Tasks in an outer step; images in a step of fine-tuning's pretraining.")
    epochs: int = _setting(10, "Epochs, each followed by validation and a checkpoint.")
    steps_per_epoch: int = _setting(200, "Outer steps in an epoch.")
    optimizer: str = _setting("adam", "Outer optimizer, adam or sgd (Reptile's).", choices=("adam", "sgd"))
    learning_rate: float = _setting(1e-3, "Outer step size, at the start.")
    schedule: str = _setting(
        "constant", "Outer step size: cosine or linear (to 0 at the last step), or constant.",
        choices=("cosine", "linear", "constant"),
    )  # fmt: skip
    filters: int = _setting(64, "Channels of conv4.")
    downsample: str = _setting("stride", "How conv4 halves its images, stride or pool.", choices=("stride", "pool"))
    inner_lr: float = _setting(
        0.4, "Inner step size on the mean support loss; Meta-SGD's rates start from half of it to one and a half."
    )
    inner_steps: int = _setting(1, "Inner steps in training.", least=0)
    eval_inner_steps: int = _setting(3, "Inner steps when scored.", least=0)
    inner_batch_size: int | None = _setting(None, "Images in an inner step (Reptile); the support set by default.")
    eval_inner_batch_size: int | None = _setting(None, "The same when scored.")
    test_episodes: int = _setting(600, "Episodes of the final score.")
    seed: int = _setting(0, "Seed of initial weights and episodes.", least=0)
    options: dict[str, Any] = dataclasses.field(
        default_factory=dict, hash=False, metadata={"help": "The method's own options, as `tfmeta presets NAME` lists."}
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if (allowed := field.metadata.get("choices")) and value not in allowed:
                raise ValueError(
                    f"{field.name} must be one of {', '.join(allowed)}.{did_you_mean(value, allowed, OTHER_NAMES)} "
                    f"Received: {field.name}={value!r}"
                )
            if read := field.metadata.get("read"):
                object.__setattr__(self, field.name, read(field.name, value))
            if field.type == "int" or (field.type == "int | None" and value is not None):
                least = field.metadata["least"]
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise ValueError(
                        f"{field.name} must be a whole number of at least {least}. Received: {field.name}={value!r}"
                    )
            if field.name == "seed" and value >= 2**32:
                raise ValueError(f"seed must be a whole number below 2**32. Received: seed={value!r}")
            if field.type == "float" and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf")
            ):
                raise ValueError(f"{field.name} must be a positive number. Received: {field.name}={value!r}")
        # Not only for tidiness: as a path, the empty name is the current folder with all its images.
        if not isinstance(self.dataset, str) or not self.dataset:
            raise ValueError(
                f"dataset must be one of {', '.join(DATASETS)} or a folder. Received: dataset={self.dataset!r}"
            )
        asked = [field.name for field in dataclasses.fields(self) if self._is_later(field)]
        if asked and self.dataset in DATASETS:
            raise ValueError(
                f"{', '.join(asked)} can be given with a folder of images alone. "
                f"Received: dataset={self.dataset!r}, {', '.join(f'{name}={getattr(self, name)!r}' for name in asked)}"
            )
        if not isinstance(self.options, dict):
            raise ValueError(f"options must be a dictionary. Received: options={self.options!r}")
        self.recipe.check_options(self.options)

    @property
    def recipe(self) -> Recipe:
        """The `Recipe` of the method."""
        return RECIPES[self.method]

    @property
    def steps(self) -> int:
        """Outer steps in all."""
        return self.epochs * self.steps_per_epoch

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON; those that came later only where they say something, as in older files."""
        fields = {field.name: field for field in dataclasses.fields(self)}
        found = {name: value for name, value in dataclasses.asdict(self).items()
                 if "later" not in fields[name].metadata or self._is_later(fields[name])}  # fmt: skip
        found = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
        return found if self.options else {name: value for name, value in found.items() if name != "options"}

    def _is_later(self, field: dataclasses.Field) -> bool:
        """Whether a field that not every file has says something."""
        return "later" in field.metadata and getattr(self, field.name) != field.default

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainSettings:
        """Read what `to_dict` wrote.

        Raises:
            TypeError: if it is not a dictionary.
            ValueError: if a field is unknown or a value is out of range.
        """
        if not isinstance(fields, dict):
            raise TypeError(f"settings must be a dictionary. Received: fields={fields!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            received = ", ".join(f"{name}={fields[name]!r}" for name in unknown)
            hint = did_you_mean(unknown[0], known)
            raise ValueError(f"settings must be among {', '.join(known)}.{hint} Received: {received}")
        return cls(**fields)


def check_dataset(name: str) -> None:
    """Refuse a name that is no data set, before anything is imported for it.

    Raises:
        ValueError: if it is neither a data set nor an existing folder.
    """
    if name not in DATASETS and not Path(name).is_dir():
        raise ValueError(
            f"dataset must be {', '.join(DATASETS)} or an existing folder of images.{did_you_mean(name, DATASETS)} "
            f"Received: dataset={name!r}"
        )
