"""The command's pictures are written whole, hold something, and replace nothing unasked."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import tfmeta
from tests.algorithms.pieces import two_blocks
from tfmeta.app import pictures
from tfmeta.training import copies

LOG = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.2,0.625,1.1\n1,0.75,0.9,0.8,0.8\n2,0.8,0.7,0.85,0.7\n"
NO_VALIDATION = "epoch,accuracy,loss\n0,0.5,1.2\n1,0.75,0.9\n"


def small_maml():
    keras.utils.set_random_seed(0)
    return tfmeta.MAML(two_blocks(3), inner_lr=0.3)


@pytest.fixture
def prototypical(tiny):
    keras.utils.set_random_seed(0)
    learner = tfmeta.PrototypicalNetwork(two_blocks())
    copies.set_batch_norm_statistics(learner.encoder, tiny.images[:60].astype(np.float32) / 255.0)
    return learner


@pytest.fixture
def seen(monkeypatch):
    """The axes that were saved, in order."""
    axes, original = [], pictures.save
    monkeypatch.setattr(
        pictures, "save", lambda ax, *args, **kwargs: (axes.append(ax), original(ax, *args, **kwargs))[1]
    )
    return axes


def check_picture(path):
    with Image.open(path) as image:
        image.load()
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert min(pixels.shape[:2]) >= 150
    ink = np.abs(pixels - 255).sum(axis=-1) > 60
    assert ink.mean() > 0.01, "blank"
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert not edge.any(), "something is cut off"


def test_save_writes_whole_or_nothing_and_closes_the_figure(tmp_path, monkeypatch):
    def axes():
        ax = plt.subplots(layout="constrained")[1]
        ax.plot([0, 1], [0, 1])
        return ax

    path = tmp_path / "one.png"
    assert pictures.save(axes(), path) == path
    check_picture(path)
    first = path.read_bytes()
    other = axes()
    with pytest.raises(FileExistsError, match=r"one.png exists and is not overwritten"):
        pictures.save(other, path)
    assert path.read_bytes() == first
    monkeypatch.setattr(other.figure, "savefig", lambda beside, **_: (beside.write_bytes(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        pictures.save(other, path, force=True)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["one.png"]
    plt.close(other.figure)
    other = axes()
    other.set_title("another")
    pictures.save(other, path, force=True)
    assert path.read_bytes() != first
    assert plt.get_fignums() == []


@pytest.mark.parametrize("method", ["maml", "prototypical"])
def test_an_episode_with_the_learners_predictions(tiny, prototypical, tmp_path, seen, method):
    learner = small_maml() if method == "maml" else prototypical
    path = pictures.draw_episode(learner, tiny, tmp_path / "e.png", n_way=3, k_shot=2, seed=4)
    check_picture(path)
    episode = tfmeta.sample_episode(tiny, n_way=3, k_shot=2, n_query=15, seed=4)
    guesses = learner.query_outputs(episode).numpy().argmax(axis=1)
    np.testing.assert_array_equal(pictures.predictions(learner, episode), guesses)
    right = int(np.sum(guesses == episode.query_y.numpy()))
    assert seen[0].get_title() == f"{learner.label}: {right} of 45 queries right, 24 drawn"
    named = pictures.draw_episode(learner, tiny, tmp_path / "t.png", n_way=3, k_shot=2, seed=4, title="after 3 epochs")
    check_picture(named)
    assert seen[1].get_title() == f"after 3 epochs: {right} of 45 queries right, 24 drawn"


@pytest.mark.slow
def test_adaptation(tiny, tmp_path, seen):
    learner = small_maml()
    check_picture(pictures.draw_adaptation(learner, tiny, tmp_path / "a.png", n_way=3, k_shot=2, seed=0, inner_steps=3))
    episodes = tfmeta.episode_dataset(tiny, n_way=3, k_shot=2, n_query=15, meta_batch_size=20, seed=0)
    expected = tfmeta.adaptation_curve(learner, episodes.take(5), 3)
    np.testing.assert_allclose(seen[0].lines[0].get_ydata(), 100 * expected.mean["query_accuracy"], rtol=1e-5)
    assert "n = 100 episodes" in seen[0].get_title()


def test_embedding_of_classes_with_few_images(unequal, prototypical, tmp_path, seen):
    """The smallest class has 7 images: 2 to learn from leave 5 to ask."""
    check_picture(pictures.draw_embedding(prototypical, unequal, tmp_path / "m.png", n_way=4, k_shot=2, seed=0))
    queries, points, star = seen[0].lines[:3]
    assert [len(line.get_xdata()) for line in (queries, points, star)] == [5, 2, 1]


@pytest.mark.parametrize(("text", "lines"), [(LOG, 2), (NO_VALIDATION, 1), (LOG.replace("0.625", "NA"), 1)])
def test_log(tmp_path, seen, text, lines):
    (tmp_path / "log.csv").write_text(text)
    check_picture(pictures.draw_log(tmp_path / "log.csv", tmp_path / "log.png"))
    drawn = seen[0].lines
    assert len(drawn) == len(seen[0].get_legend().get_texts()) == lines
    np.testing.assert_allclose(drawn[0].get_ydata(), [50, 75, 80][: len(drawn[0].get_xdata())])
    np.testing.assert_array_equal(drawn[0].get_xdata(), np.arange(len(drawn[0].get_xdata())) + 1)
    if lines == 2:
        np.testing.assert_allclose(drawn[1].get_ydata(), [62.5, 80, 85])


@pytest.mark.slow
def test_a_run_has_three_pictures_and_they_are_not_replaced_unasked(tiny, prototypical, tmp_path):
    run, out = tmp_path / "run", tmp_path / "pictures"
    run.mkdir()
    (run / "log.csv").write_text(LOG)
    task = {"n_way": 3, "k_shot": 2, "seed": 1}
    for learner, last in ((small_maml(), "adaptation.png"), (prototypical, "embedding.png")):
        paths = pictures.draw_run(run, learner, tiny, out / last[:3], **task)
        assert [path.name for path in paths] == ["log.png", "episode.png", last]
        for path in paths:
            check_picture(path)
    (out / "emb" / "log.png").unlink()
    with pytest.raises(FileExistsError, match=r"episode.png, .*embedding.png exists and is not overwritten"):
        pictures.draw_run(run, prototypical, tiny, out / "emb", **task)
    assert not (out / "emb" / "log.png").exists(), "nothing is drawn before the refusal"
    pictures.draw_run(run, prototypical, tiny, out / "emb", **task, force=True)
    assert (out / "emb" / "log.png").exists()
    assert plt.get_fignums() == []


def test_a_learner_without_a_run_has_no_log_and_nothing_is_written_where_the_classes_are_too_few(
    tiny, prototypical, tmp_path
):
    with pytest.raises(ValueError, match="n_way must be at most"):
        pictures.draw_run(None, prototypical, tiny, tmp_path / "out", n_way=99, k_shot=1)
    assert not (tmp_path / "out").exists()
    paths = pictures.draw_run(None, prototypical, tiny, tmp_path / "out", n_way=3, k_shot=1)
    assert [path.name for path in paths] == ["episode.png", "embedding.png"]


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_epochs_are_whole_numbers_however_few(tmp_path, monkeypatch, epochs):
    rows = "".join(f"{k},0.5,1.0,2.0,0.4,1.0\n" for k in range(epochs))
    (tmp_path / "log.csv").write_text("epoch,accuracy,loss,seconds,val_accuracy,val_loss\n" + rows)
    monkeypatch.setattr(pictures, "save", lambda axes, path, force: axes)
    axes = pictures.draw_log(tmp_path / "log.csv", tmp_path / "log.png")
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown
    assert all(tick == round(tick) for tick in shown)
