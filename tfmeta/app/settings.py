"""Everything that defines a training run, in one frozen record; `tfmeta.app.presets` fills it."""

from __future__ import annotations

import dataclasses
from typing import Any

METHODS = (
    "maml", "fomaml", "maml++", "meta-sgd", "anil", "reptile", "proto-maml",
    "prototypical", "matching", "nearest-neighbour", "fine-tuning",
)  # fmt: skip
DATASETS = ("omniglot", "omniglot-lake", "glyphs")


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Settings of `tfmeta train`.

    Args:
        method: one of `METHODS`.
        dataset: one of `DATASETS`, or a folder with a folder of images per class.
        n_way: classes in an episode, in training and when scored.
        train_way: classes in a training episode where that differs (ProtoNet trains 60-way); `n_way` by default.
        k_shot: support images per class.
        train_shot: support images per class in training where that differs (Reptile trains on more); `k_shot` by
            default.
        n_query: query images per class in training.
        meta_batch_size: tasks in an outer step; images in a step of fine-tuning's pretraining.
        epochs: epochs, each followed by validation and a checkpoint.
        steps_per_epoch: outer steps in an epoch.
        optimizer: the outer optimizer, `"adam"` or `"sgd"` (Reptile's outer step).
        learning_rate: its first rate.
        schedule: `"cosine"` or `"linear"` (both to 0 at the last step) or `"constant"`.
        filters: channels of conv4.
        downsample: `"stride"` or `"pool"`.
        inner_lr: alpha on the mean support loss, for methods with an inner loop; Meta-SGD's rates start in the range
            from half of it to one and a half.
        inner_steps: inner steps in training.
        eval_inner_steps: inner steps when scored.
        inner_batch_size: images in an inner step in training (Reptile); the whole support set by default.
        eval_inner_batch_size: the same when scored.
        test_episodes: episodes of the final score.
        seed: seed of initial weights and episodes.

    References:
        Finn et al. (2017), appendix A.1 https://arxiv.org/abs/1703.03400; Snell et al. (2017), section 3.1
        https://arxiv.org/abs/1703.05175
    """

    method: str = "maml"
    dataset: str = "omniglot"
    n_way: int = 5
    train_way: int | None = None
    k_shot: int = 1
    train_shot: int | None = None
    n_query: int = 1
    meta_batch_size: int = 32
    epochs: int = 10
    steps_per_epoch: int = 200
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    filters: int = 64
    downsample: str = "stride"
    inner_lr: float = 0.4
    inner_steps: int = 1
    eval_inner_steps: int = 3
    inner_batch_size: int | None = None
    eval_inner_batch_size: int | None = None
    test_episodes: int = 600
    seed: int = 0

    def __post_init__(self):
        for name, allowed in (
            ("method", METHODS),
            ("optimizer", ("adam", "sgd")),
            ("schedule", ("cosine", "linear", "constant")),
            ("downsample", ("stride", "pool")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}. Received: {name}={getattr(self, name)!r}"
                )
        # Not only for tidiness: as a path, the empty name is the current folder with all its images.
        if not isinstance(self.dataset, str) or not self.dataset:
            raise ValueError(
                f"dataset must be one of {', '.join(DATASETS)} or a folder. Received: dataset={self.dataset!r}"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" or (field.type == "int | None" and value is not None):
                least = 0 if field.name in ("seed", "inner_steps", "eval_inner_steps") else 1
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise ValueError(
                        f"{field.name} must be a whole number of at least {least}. Received: {field.name}={value!r}"
                    )
            if field.type == "float" and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf")
            ):
                raise ValueError(f"{field.name} must be a positive number. Received: {field.name}={value!r}")

    @property
    def steps(self) -> int:
        """Outer steps in all."""
        return self.epochs * self.steps_per_epoch

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> TrainSettings:
        """Read what `to_dict` wrote.

        Raises:
            TypeError: if it is no dictionary.
            ValueError: if a field is unknown or a value is out of range.
        """
        if not isinstance(fields, dict):
            raise TypeError(f"settings must be a dictionary. Received: fields={fields!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            received = ", ".join(f"{name}={fields[name]!r}" for name in unknown)
            raise ValueError(f"settings must be among {', '.join(known)}. Received: {received}")
        return cls(**fields)
