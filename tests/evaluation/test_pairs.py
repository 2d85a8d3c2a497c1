"""Two methods on the same episodes: what is common to both cancels."""

import dataclasses

import numpy as np
import pytest

import tfmeta
from tfmeta.evaluation import confidence_interval, paired_difference


@pytest.fixture(scope="module")
def scores(tiny):
    learners = [tfmeta.NearestNeighbour(distance=distance) for distance in ("euclidean", "cosine")]
    sizes = {"n_way": 3, "k_shot": 1, "n_query": 4, "episodes": 30, "seed": 5}
    return [tfmeta.evaluate(learner, tiny, **sizes, details=True) for learner in learners]


def test_values_by_hand():
    found = paired_difference([0.5, 0.7, 0.9], [0.4, 0.7, 0.7])
    assert found.mean == pytest.approx(0.1)
    assert found.interval == pytest.approx(1.96 * 0.1 / np.sqrt(3), rel=1e-4)  # differences 0.1, 0, 0.2
    assert found.episodes == 3
    assert not found.decided
    assert str(found) == "difference +10.00 +- 11.32 points (in pairs, 95 % interval over 3 episodes)"


def test_what_is_hard_for_both_cancels():
    rng = np.random.default_rng(0)
    hard = rng.normal(0.7, 0.2, 200)
    a, b = hard + 0.02 + rng.normal(0, 0.02, 200), hard
    found = paired_difference(a, b)
    assert found.decided
    assert found.interval < 0.2 * confidence_interval(a)
    assert paired_difference(b, a).mean == -found.mean


def test_scores_are_compared_by_their_episodes(scores):
    a, b = scores
    found = paired_difference(a, b)
    assert found.mean == pytest.approx(a.accuracy - b.accuracy)
    assert found == paired_difference(a.details.accuracies, b.details.accuracies)


@pytest.mark.parametrize("change", [{"seed": 6}, {"data": "other"}, {"k_shot": 2}, {"n_query": 9}, {"episodes": 31}])
def test_scores_of_other_episodes_are_refused(scores, change):
    name = next(iter(change))
    with pytest.raises(ValueError, match=rf"same episodes. Received: a with {name}="):
        paired_difference(scores[0], dataclasses.replace(scores[1], **change))


def test_bad_values_are_named(scores):
    with pytest.raises(TypeError, match="details=True"):
        paired_difference(scores[0], dataclasses.replace(scores[1], details=None))
    with pytest.raises(ValueError, match=r"a with shape=\(2,\), b with shape=\(3,\)"):
        paired_difference([0.1, 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="n >= 2"):
        paired_difference([0.1], [0.2])
    with pytest.raises(ValueError, match="a must be a Score or values"):
        paired_difference("abc", [0.1, 0.2])
