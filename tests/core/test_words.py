"""Numbers before their nouns, and the lines that readers meet most."""

import numpy as np
import pytest

import tfmeta
from tests.conftest import make_classes
from tfmeta.algorithms.reptile import reptile_update
from tfmeta.core.words import counted
from tfmeta.evaluation.regression import RegressionScore

SCORE = {"accuracy": 0.5, "interval": 0.1, "n_way": 2, "k_shot": 1, "data": "tiny", "method": "MAML", "settings": {},
         "batch_norm": "none", "seed": 0}  # fmt: skip
LOSS = {"loss": 0.5, "interval": 0.1, "k_shot": 1, "data": "waves", "method": "MAML", "settings": {},
        "batch_norm": "none", "loss_name": "mean squared error"}  # fmt: skip


def test_one_is_no_plural():
    assert [counted(n, "channel") for n in (0, 1, 2)] == ["0 channels", "1 channel", "2 channels"]
    assert [counted(n, "class", "classes") for n in (np.int64(1), 3)] == ["1 class", "3 classes"]


@pytest.mark.parametrize(("kind", "fields"), [(tfmeta.Score, SCORE), (RegressionScore, LOSS)])
def test_a_score_of_one_episode_with_one_query_is_english(kind, fields):
    assert "over 1 episode, 1 query a " in str(kind(**fields, episodes=1, n_query=1))
    assert "over 2 episodes, 1 to 3 queries a " in str(kind(**fields, episodes=2, n_query=(1, 3)))


def test_messages_about_one_are_english():
    one = make_classes([1], size=4)
    assert "1 class, 1 image (" in repr(one)
    with pytest.raises(ValueError, match=r"has 1 image, but"):
        tfmeta.sample_episode(make_classes([1, 1], size=4), n_way=2, k_shot=1, n_query=1, seed=0)
    with pytest.raises(ValueError, match=r"be 1 tensor, like params"):
        reptile_update([1.0], [], 0.1)
