"""Pictures that compare methods: what is drawn is what was measured, one entry a method."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfmeta
from tests.evaluation.test_seeds import loss, score
from tests.plotting.drawings import assert_whole, curve, words
from tfmeta.plotting import METHOD_COLOURS


def test_each_method_is_a_line_over_its_sizes_with_its_interval():
    ax = tfmeta.plot_scores([score(0.9, k_shot=5), score(0.7), score(0.8, method="FOMAML", interval=0.02)])
    assert words(ax.get_legend().get_texts()) == ["MAML", "FOMAML"]
    maml, fomaml = (container.lines for container in ax.containers)
    np.testing.assert_allclose(maml[0].get_xydata(), [[1, 70], [5, 90]])
    np.testing.assert_allclose(fomaml[2][0].get_segments()[0], [[1, 78], [1, 82]])
    assert (maml[0].get_color(), fomaml[0].get_color()) == (METHOD_COLOURS["MAML"], METHOD_COLOURS["FOMAML"])
    assert (ax.get_ylabel(), ax.get_title()) == ("accuracy (%)", "95 % intervals over 600 episodes")
    assert_whole(ax)


def test_means_over_trainings_and_losses_say_what_they_are():
    ax = tfmeta.plot_scores([tfmeta.mean_over_seeds([score(0.7), score(0.8)]), score(0.6, n_way=20)], x="n_way")
    assert ax.get_title() == "95 % intervals over 2 trainings and over 600 episodes"
    ax = tfmeta.plot_scores([loss(1.0), loss(0.5, k_shot=10)])
    assert ax.get_ylabel() == "mean squared error"


@pytest.mark.parametrize(
    ("scores", "options", "error", "message"),
    [
        ([], {}, ValueError, "Received: an empty sequence"),
        ([score(0.5), loss(1.0)], {}, TypeError, "Received: RegressionScore, Score"),
        ([0.5], {}, TypeError, "Received: float"),
        ([score(0.5)], {"x": "epochs"}, ValueError, "k_shot, n_way, n_query. Received: x='epochs'"),
        ([loss(0.5)], {"x": "n_way"}, ValueError, "k_shot, n_query. Received: x='n_way'"),
        ([score(0.5, k_shot=(1, 5))], {}, ValueError, "one number in every score. Received: MAML with k_shot="),
        ([score(0.5), score(0.6)], {}, ValueError, "mean_over_seeds.*Received: two of MAML with k_shot=1"),
    ],
)
def test_bad_scores_are_named(scores, options, error, message):
    with pytest.raises(error, match=message):
        tfmeta.plot_scores(scores, **options)
    assert plt.get_fignums() == []


def test_curves_without_support_have_one_entry_a_method_and_scores_are_bands():
    both = [curve(), curve("FOMAML", seed=1), score(0.8, method="PrototypicalNetwork", interval=0.02)]
    ax = tfmeta.plot_adaptation_curve(both, show_support=False)
    assert words(ax.get_legend().get_texts()) == ["MAML", "FOMAML", "PrototypicalNetwork"]
    assert set(ax.lines[-1].get_ydata()) == {80.0}
    assert ax.lines[-1].get_color() == METHOD_COLOURS["ProtoNet"]
    band = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    assert (band.y0, band.y1) == (pytest.approx(78), pytest.approx(82))
    assert_whole(ax)
    with pytest.raises(ValueError, match="Received: quantity='loss' with a Score"):
        tfmeta.plot_adaptation_curve(both, quantity="loss")
    with pytest.raises(ValueError, match="Received: scores alone"):
        tfmeta.plot_adaptation_curve(both[2])
    ax = tfmeta.plot_adaptation_curve(tfmeta.mean_over_seeds([curve(seed=1), curve(seed=2)]), show_support=False)
    assert words(ax.get_legend().get_texts()) == ["query"]
    assert ax.get_title() == "mean and 95 % interval over 2 trainings"
