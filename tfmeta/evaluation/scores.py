"""How good a learner is: accuracy with its confidence interval, and all that one must know to read it."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import tensorflow as tf

from tfmeta.core import casting
from tfmeta.core.episode import Episode
from tfmeta.core.validation import check_flags, check_sizes
from tfmeta.core.words import counted
from tfmeta.datasets.classes import ImageClasses
from tfmeta.evaluation.calibration_score import Calibration, CalibrationTally
from tfmeta.evaluation.details import ScoreDetails, Tally
from tfmeta.evaluation.intervals import confidence_interval
from tfmeta.evaluation.judges import hits_of, judge_of, method_of
from tfmeta.evaluation.probabilities import check_probabilities, log_probabilities
from tfmeta.evaluation.regression import (
    RegressionScore,
    episodes_in_words,
    in_words,
    model_in_words,
    queries_in_words,
    restore_sizes,
    settings_in_words,
)
from tfmeta.evaluation.streams import Sizes, check_meta_batch, meta_batches
from tfmeta.tasks.sampling import episode_dataset
from tfmeta.tasks.sizes import Size, checked_sizes
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.outputs import LABELS


@dataclasses.dataclass(frozen=True)
class Score:
    """Accuracy on a set of episodes. `print` it for one line that says all, and one of its calibration if asked for.

    Args:
        accuracy: mean over episodes, in [0, 1].
        interval: half the width of the 95 % confidence interval over episodes.
        episodes: number of episodes.
        n_way: classes in an episode; (lowest, highest) where they vary.
        k_shot: support images per class, likewise.
        n_query: query images per class, likewise.
        data: name of the data set and split.
        method: what the method is called: "FOMAML", or the learner's class; with a name of the user's before it,
            "small net (MAML)".
        settings: the learner's settings at test time, such as `inner_steps`.
        batch_norm: which statistics batch norm used for queries.
        seed: seed of the episodes; `None` of given episodes, whose seed is not known.
        model: what predicted: "single model", or of a method with several models for a task "mean of 10 models".
        loss: mean over episodes of the learner's mean loss on an episode's queries, cross-entropy unless the learner
            was given another; `None` where there is none: of methods without a loss, of models that are no tfmeta
            learners, and of scores that were written without one.
        loss_interval: half the width of the 95 % confidence interval of the loss over episodes, or `None`.
        details: accuracies of episodes `[episodes]` and classes, and the confusion matrix, on request; else `None`.
        calibration: how sure the classifier is, a `Calibration`, on request; else `None`.

    Raises:
        ValueError: if the accuracy is no share from 0 to 1.

    References:
        Nichol et al. (2018), section 6.1, on why the batch-norm mode must be stated. https://arxiv.org/abs/1803.02999
    """

    accuracy: float
    interval: float
    episodes: int
    n_way: int | tuple[int, int]
    k_shot: int | tuple[int, int]
    n_query: int | tuple[int, int]
    data: str
    method: str
    settings: dict[str, int | float]
    batch_norm: str
    seed: int | None
    model: str = "single model"
    loss: float | None = None
    loss_interval: float | None = None
    details: ScoreDetails | None = dataclasses.field(default=None, compare=False, repr=False)
    calibration: Calibration | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self):
        share = self.accuracy
        if isinstance(share, bool) or not isinstance(share, int | float | np.floating) or not 0 <= share <= 1:
            raise ValueError(f"accuracy must be a share from 0 to 1. Received: accuracy={share!r}")
        restore_sizes(self, "n_way", "k_shot", "n_query")
        if isinstance(self.details, dict):  # from JSON
            object.__setattr__(self, "details", ScoreDetails.from_dict(self.details))
        if isinstance(self.calibration, dict):
            object.__setattr__(self, "calibration", Calibration.from_dict(self.calibration))

    def __str__(self):
        seed = "" if self.seed is None else f", seed {self.seed}"
        sureness = "" if self.calibration is None else f"\n{self.calibration}"
        return (
            f"accuracy {100 * self.accuracy:.2f} % +- {100 * self.interval:.2f} ({in_words(self.n_way)}-way "
            f"{in_words(self.k_shot)}-shot, {episodes_in_words(self.episodes, self.model)}, "
            f"{queries_in_words(self.n_query)} a class, {self.data}, {self.method}{settings_in_words(self.settings)}, "
            f"batch norm: {self.batch_norm}, {self.model}{seed}){sureness}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON; `details` and `calibration` only where asked for, a loss where there is one."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields = {name: x for name, x in fields.items() if x is not None or name not in ("loss", "loss_interval")}
        fields["settings"] = dict(self.settings)
        asked = {name: fields.pop(name) for name in ("details", "calibration")}
        return fields | {name: found.to_dict() for name, found in asked.items() if found is not None}


def evaluate(
    learner,
    data: ImageClasses | Episode | list[Episode] | tf.data.Dataset,
    *,
    n_way: Size | None = None,
    k_shot: Size | None = None,
    n_query: Size = 15,
    episodes: int = 600,
    seed: int = 0,
    transductive: bool = True,
    details: bool = False,
    calibration: bool = False,
) -> Score | RegressionScore:
    """Accuracy on episodes of classes that were not trained on, or the loss on regression tasks.

    Args:
        learner: a trained learner. Or anything with a method `adapt(support_x, support_y)` that returns a Keras model
            for the task, such as a pruned or quantised learner. Or a Keras model that classifies already, such as an
            adapted one, which is judged on the queries of the episodes that `data` then holds.
        data: labelled classes to draw episodes from, `load_omniglot().test`; or the episodes themselves, a meta-batch,
            a list of episodes without a meta-batch axis, or a dataset of meta-batches, and then sizes and `seed` are
            theirs. Of an endless dataset `episodes` are read; one whose length TensorFlow does not know, such as one of
            a generator, is read to its end. Where episodes come again, as after `repeat()`, the interval is too narrow.
        n_way: classes in an episode. Or a range (lowest, highest), from which each episode draws its own, for learners
            that make a head for each task.
        k_shot: support images per class, or a range.
        n_query: query images per class, or a range.
        episodes: number of episodes.
        seed: seed of the episodes; the same seed judges every learner on the same episodes.
        transductive: let batch norm see all queries of an episode together, where the algorithm uses batch statistics.
        details: keep the accuracy of each episode and of each class and the confusion matrix in `score.details`; the
            losses of regression in `score.losses`.
        calibration: keep likelihood, Brier score and calibration error of the queries' probabilities, with intervals,
            in `score.calibration`. Outputs of a Keras model are taken for probabilities where each row sums to 1, else
            for logits.

    Returns:
        A `Score`; a `RegressionScore` if the episodes have floating-point targets.

    Raises:
        TypeError: if the learner can neither adapt nor predict, sizes are missing, or calibration is asked of a method
            that gives no probabilities.
        ValueError: if a size is not positive, `data` has too few classes or images, the learner's output
            is not `n_way` wide, there is one class alone, in which every answer would be right, or calibration is asked
            of regression.

    References:
        Vinyals et al. (2016), section 4.1 https://arxiv.org/abs/1606.04080; Finn et al. (2017), section 5.1, for
        regression https://arxiv.org/abs/1703.03400; Guo et al. (2017), section 2, for calibration
        https://arxiv.org/abs/1706.04599
    """
    check_sizes(episodes=episodes)
    check_flags(transductive=transductive, details=details, calibration=calibration)
    given = isinstance(data, Episode | tf.data.Dataset) or casting.is_list(data)
    if given:
        data = casting.as_given(data, squeeze=getattr(learner, "loss_function", None) is None)
    stream = ((batch, None) for batch in meta_batches(data, episodes)) if given else None
    hits = hits_of(learner, _example(data)) if given else LABELS
    regression = hits is None
    if calibration:
        check_probabilities(learner, regression)
    judge = judge_of(learner, data, transductive=transductive, hits=hits, outputs=calibration)
    asked: dict[str, Size] = {}
    if not given:
        stream, asked = _drawn(learner, data, {"n_way": n_way, "k_shot": k_shot, "n_query": n_query}, episodes, seed)
    sizes, tally = Sizes(), Tally(None if given else data.class_names)
    sureness = CalibrationTally()
    found: list[np.ndarray] = []
    found_losses: list[np.ndarray] = []
    done = 0
    for meta_batch, ids in stream:
        sizes.add(check_meta_batch(meta_batch, learner, hits))
        values, predictions, losses, outputs = judge.of(meta_batch, done)
        kept = len(values) if given else min(len(values), episodes - done)
        found.append(values[:kept])
        done += kept
        if losses is not None:
            found_losses.append(losses[:kept])
        if not regression:
            classes = None if ids is None else ids.classes.numpy()[:kept]
            labels = np.stack([hits.label(y) for y in meta_batch.query_y[:kept]])
            tally.add(labels, predictions[:kept], classes)
            if calibration:
                for true, one in zip(labels, outputs[:kept], strict=True):
                    sureness.add(true, log_probabilities(learner, one))
    if not found:
        raise ValueError("data must hold at least one meta-batch. Received: an empty dataset")
    values = np.concatenate(found).astype(np.float64)
    common = {
        "interval": float(confidence_interval(values)),
        "episodes": len(values),
        **sizes.met,
        **asked,
        "data": "given episodes" if given else data.name,
        "method": method_of(learner),
        "settings": judge.settings,
        "batch_norm": judge.batch_norm,
        "model": model_in_words(learner.method.samples if isinstance(learner, EpisodicLearner) else 1),
    }
    if regression:
        del common["n_way"]
        losses = values if details else None
        return RegressionScore(loss=float(values.mean()), loss_name=judge.loss_name, losses=losses, **common)
    if tally.undefined:
        warnings.warn(
            f"the outputs are not numbers for {counted(tally.undefined, 'query', 'queries')} of "
            f"{counted(len(values), 'episode')}, which is counted as wrong; "
            "has the learner's loss run to infinity?",
            stacklevel=2,
        )
    kept_details = tally.details(values) if details else None
    common |= _loss(found_losses) | {"seed": None if given else seed}
    kept_sureness = sureness.calibration(common["method"]) if calibration else None
    return Score(accuracy=float(values.mean()), details=kept_details, calibration=kept_sureness, **common)


def _loss(found: list[np.ndarray]) -> dict[str, float]:
    """The fields of a score's loss, none where there is no loss."""
    if not found:
        return {}
    losses = np.concatenate(found).astype(np.float64)
    return {"loss": float(losses.mean()), "loss_interval": float(confidence_interval(losses))}


def _example(data):
    """A meta-batch of given episodes, or its specification."""
    if isinstance(data, list) and data:
        return tf.nest.map_structure(lambda tensor: tensor[None], data[0])
    return getattr(data, "element_spec", data)


def _drawn(learner, data: ImageClasses, sizes: dict[str, Size | None], episodes: int, seed: int) -> tuple:
    """Pairs of meta-batches and ids drawn from labelled classes, and the sizes as they were asked for."""
    if sizes["n_way"] is None or sizes["k_shot"] is None:
        raise TypeError(
            f"evaluate needs n_way and k_shot. Received: n_way={sizes['n_way']!r}, k_shot={sizes['k_shot']!r}"
        )
    sizes = checked_sizes(**sizes)
    varied = any(not isinstance(size, int) for size in sizes.values())
    if (
        not isinstance(sizes["n_way"], int)
        and isinstance(learner, EpisodicLearner)
        and not learner.sizes_depend_on_data
    ):
        raise ValueError(
            f"n_way must be one number for {type(learner).__name__}, whose network has a fixed number of outputs; "
            f"learners that make a head for each task take a range. Received: n_way={sizes['n_way']}"
        )
    if sizes["n_way"] == 1 or (not isinstance(sizes["n_way"], int) and sizes["n_way"][0] == 1):
        raise ValueError(
            f"n_way must be at least 2: of one class every answer is right. Received: n_way={sizes['n_way']}"
        )
    # Episodes of a meta-batch share their sizes; where these vary, the interval wants episodes drawn one by one.
    batch = 1 if varied else min(episodes, 20)
    stream = episode_dataset(data, **sizes, meta_batch_size=batch, seed=seed, with_ids=True)
    return stream.take(-(-episodes // batch)), sizes
