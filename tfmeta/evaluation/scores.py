"""How good a learner is: accuracy with its confidence interval, and all that one must know to read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from tfmeta.core.episode import Episode, count_classes
from tfmeta.core.losses import accuracy
from tfmeta.core.validation import check_sizes
from tfmeta.datasets.classes import ImageClasses
from tfmeta.tasks.sampling import episode_dataset
from tfmeta.training.episodic import EpisodicLearner
from tfmeta.training.parallel import SCALAR

# Two-sided 95 % quantile of the normal distribution; the papers use it for their 600 to 1000 episodes.
Z_95 = 1.959964


def confidence_interval(values: np.ndarray) -> float:
    """Half the width of the 95 % confidence interval of a mean.

    Args:
        values: `[n, ...]`, one row an episode; the interval is over episodes.

    Returns:
        1.96 standard errors, `[...]`; not-a-number for one value, which says nothing about its spread.

    References:
        Snell et al. (2017), section 3: accuracies with 95 % intervals over test episodes.
        https://arxiv.org/abs/1703.05175
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)[()]
    # A loss that has run to infinity, or nearly, has no spread: not-a-number or infinite, too.
    with np.errstate(invalid="ignore", over="ignore"):
        return Z_95 * values.std(axis=0, ddof=1) / np.sqrt(len(values))


@dataclasses.dataclass(frozen=True)
class Score:
    """Accuracy on a set of episodes. `print` it for one line that says all.

    Args:
        accuracy: mean over episodes, in [0, 1].
        interval: half the width of the 95 % confidence interval over episodes.
        episodes: number of episodes.
        n_way: classes in an episode.
        k_shot: support images per class.
        n_query: query images per class.
        data: name of the data set and split.
        method: class of the learner.
        settings: the learner's settings at test time, such as `inner_steps`.
        batch_norm: which statistics batch norm used for queries.
        seed: seed of the episodes.
        model: always a single model, never an ensemble.

    References:
        Nichol et al. (2018), section 6.1, on why the batch-norm mode must be stated. https://arxiv.org/abs/1803.02999
    """

    accuracy: float
    interval: float
    episodes: int
    n_way: int
    k_shot: int
    n_query: int
    data: str
    method: str
    settings: dict[str, int | float]
    batch_norm: str
    seed: int
    model: str = "single model"

    def __str__(self):
        settings = "".join(f", {name.replace('_', ' ')} {value}" for name, value in self.settings.items())
        return (
            f"accuracy {100 * self.accuracy:.2f} % +- {100 * self.interval:.2f} ({self.n_way}-way {self.k_shot}-shot, "
            f"95 % interval over {self.episodes} episodes, {self.n_query} queries a class, {self.data}, {self.method}"
            f"{settings}, batch norm: {self.batch_norm}, {self.model}, seed {self.seed})"
        )

    def to_dict(self) -> dict:
        """All fields, ready for JSON."""
        return dataclasses.asdict(self)


def evaluate(
    learner,
    data: ImageClasses | Episode | tf.data.Dataset,
    *,
    n_way: int | None = None,
    k_shot: int | None = None,
    n_query: int = 15,
    episodes: int = 600,
    seed: int = 0,
    transductive: bool = True,
) -> Score:
    """Accuracy on episodes of classes that were not trained on.

    Args:
        learner: a trained learner. Or anything with a method `adapt(support_x, support_y)` that returns a Keras model
            for the task, such as a pruned or quantised learner. Or a Keras model that classifies already, such as an
            adapted one, which is judged on the queries of the episodes that `data` then holds.
        data: labelled classes to draw episodes from, `load_omniglot().test`; or the episodes themselves, a meta-batch
            or a finite dataset of them, and then sizes, `episodes` and `seed` are theirs.
        n_way: classes in an episode.
        k_shot: support images per class.
        n_query: query images per class.
        episodes: number of episodes.
        seed: seed of the episodes; the same seed judges every learner on the same episodes.
        transductive: let batch norm see all queries of an episode together, where the algorithm uses batch statistics.

    Returns:
        A `Score`.

    Raises:
        TypeError: if the learner can neither adapt nor predict, or sizes are missing.
        ValueError: if a size is not positive, `data` has too few classes or images, or the learner's output is not
            `n_way` wide.

    References:
        Vinyals et al. (2016), section 4.1. https://arxiv.org/abs/1606.04080
    """
    check_sizes(episodes=episodes)
    judge, settings, mode = _judge(learner, data, transductive)
    if isinstance(data, Episode | tf.data.Dataset):
        stream, name, episodes = meta_batches(data), "given episodes", None
    else:
        if n_way is None or k_shot is None:
            raise TypeError(f"evaluate needs n_way and k_shot. Received: n_way={n_way!r}, k_shot={k_shot!r}")
        batch, name = min(episodes, 20), getattr(data, "name", "")
        stream = episode_dataset(
            data, n_way=n_way, k_shot=k_shot, n_query=n_query, meta_batch_size=batch, seed=seed
        ).take(-(-episodes // batch))  # fmt: skip
    found: list[np.ndarray] = []
    done = 0
    for meta_batch in stream:
        if not found:
            if isinstance(learner, EpisodicLearner):
                learner.check_episode(meta_batch)
            n_way = int(count_classes(meta_batch))
            k_shot, n_query = (y.shape[1] // n_way for y in (meta_batch.support_y, meta_batch.query_y))
        found.append(judge(meta_batch, done))
        done += len(found[-1])
    if not found:
        raise ValueError("data must hold at least one meta-batch. Received: an empty dataset")
    accuracies = np.concatenate(found)[:episodes].astype(np.float64)
    return Score(
        accuracy=float(accuracies.mean()),
        interval=float(confidence_interval(accuracies)),
        episodes=len(accuracies),
        n_way=n_way,
        k_shot=k_shot,
        n_query=n_query,
        data=name,
        method=type(learner).__name__,
        settings=settings,
        batch_norm=mode,
        seed=seed,
    )


def meta_batches(episodes: Episode | tf.data.Dataset) -> Iterator[Episode]:
    """The meta-batches of a finite set of episodes.

    Args:
        episodes: a meta-batch or a finite dataset of them.

    Returns:
        An iterator of `Episode`s.

    Raises:
        TypeError: if it is neither.
        ValueError: if the dataset is endless.
    """
    if isinstance(episodes, Episode):
        return iter([episodes])
    if not isinstance(episodes, tf.data.Dataset) or not isinstance(episodes.element_spec, Episode):
        raise TypeError(
            "episodes must be an Episode or a dataset of meta-batches of them. "
            f"Received: episodes of type {type(episodes).__name__}, elements {getattr(episodes, 'element_spec', None)}"
        )
    if episodes.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("episodes must end: use episode_dataset(...).take(n). Received: an endless dataset")
    return iter(episodes)


def _judge(learner, data, transductive: bool):
    """How a meta-batch is judged, and what a reader must know of the learner: its settings and batch-norm mode."""
    if isinstance(learner, EpisodicLearner):
        mode = learner.batch_norm_mode(transductive=transductive)
        return _in_a_graph(learner, transductive), learner.evaluation_settings(), mode
    if callable(getattr(learner, "adapt", None)):
        return _by_adapting(learner), {}, "the model's own"
    if not isinstance(learner, keras.Model):
        raise TypeError(
            "learner must be a tfmeta learner, have a method adapt(support_x, support_y), or be a keras.Model. "
            f"Received: learner of type {type(learner).__name__}"
        )
    if not isinstance(data, Episode | tf.data.Dataset):
        raise TypeError(
            f"{learner.name!r} cannot adapt to classes that it does not know: give episodes of the classes that it "
            f"predicts. Received: data of type {type(data).__name__}"
        )
    return _by_predicting(learner), {}, "the model's own"


def _in_a_graph(learner: EpisodicLearner, transductive: bool):
    """Accuracies of a meta-batch whose first episode has a number; the number is the episode's randomness."""

    def one_task(task) -> tf.Tensor:
        episode, key = task
        outputs = learner.query_outputs(episode, transductive=transductive, key=key)
        return accuracy(episode.query_y, outputs)

    def judge(episodes: Episode, first: int) -> np.ndarray:
        keys = first + tf.range(episodes.support_y.shape[0], dtype=tf.int64)
        return learner.map_compiled(one_task, (episodes, keys), SCALAR, key=("accuracy", transductive)).numpy()

    return judge


def _by_adapting(learner):
    def judge(episodes: Episode, first: int) -> np.ndarray:
        tasks = [Episode(*(tensor[i].numpy() for tensor in episodes)) for i in range(len(episodes.support_y))]
        return np.array([_hits(learner.adapt(t.support_x, t.support_y), t.query_x, t.query_y) for t in tasks])

    return judge


def _by_predicting(model: keras.Model):
    def judge(episodes: Episode, first: int) -> np.ndarray:
        pairs = zip(episodes.query_x.numpy(), episodes.query_y.numpy(), strict=True)
        return np.array([_hits(model, x, y) for x, y in pairs])

    return judge


def _hits(model: keras.Model, x: np.ndarray, y: np.ndarray) -> float:
    return float(accuracy(tf.constant(y), model.predict_on_batch(x)))
