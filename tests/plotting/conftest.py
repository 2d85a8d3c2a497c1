import matplotlib.pyplot as plt
import pytest

import tfmeta


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


@pytest.fixture
def episode(tiny):
    return tfmeta.sample_episode(tiny, n_way=3, k_shot=2, n_query=4, seed=0)
