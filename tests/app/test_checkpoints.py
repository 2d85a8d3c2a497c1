import os
import re

import keras
import numpy as np
import pytest

import tfmeta
from tfmeta.app import checkpoints
from tfmeta.app.checkpoints import Checkpoints, DamagedCheckpointError, found, restore
from tfmeta.machine import files


def small_learner(seed=0, filters=4):
    keras.utils.set_random_seed(seed)
    learner = tfmeta.PrototypicalNetwork(tfmeta.networks.conv4(filters=filters, input_shape=(16, 16, 1)))
    learner.compile(optimizer=keras.optimizers.Adam(1e-2))
    return learner


def state(learner):
    return [variable.numpy() for variable in (*learner.variables, *learner.optimizer.variables)]


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A learner after four epochs of three steps, its folder, and its state after each epoch."""
    folder, states = tmp_path_factory.mktemp("run") / "deep" / "checkpoints", []
    learner = small_learner()
    stream = tfmeta.episode_dataset(tiny, n_way=3, k_shot=1, n_query=2, meta_batch_size=2, seed=0)
    remember = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: states.append(state(learner)))
    learner.fit(stream, steps_per_epoch=3, epochs=4, callbacks=[Checkpoints(folder), remember], verbose=0)
    return learner, folder, states


@pytest.fixture
def folder(trained, tmp_path):
    """A copy that a test may damage."""
    for path in found(trained[1]):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_the_last_two_are_kept_each_with_its_hash_in_its_name(trained):
    _, folder, _ = trained
    names = sorted(os.listdir(folder))
    assert [name[:12] for name in names] == ["epoch-00003-", "epoch-00004-"]
    assert [path.name for path in found(folder)] == names
    for name in names:
        assert re.fullmatch(r"epoch-\d{5}-[0-9a-f]{16}\.weights\.h5", name)
        assert files.sha256(folder / name)[:16] == name[12:28]


def test_the_newest_is_restored_with_the_optimizer_s_state(trained):
    learner, folder, states = trained
    other = small_learner(seed=1)
    assert restore(other, folder) == 4
    assert_same(state(other), states[3])
    assert int(other.optimizer.iterations) == 12
    moments = [v for v in other.optimizer.variables if v.shape.rank > 1]
    assert len(moments) > 0
    assert all(np.abs(v.numpy()).max() > 0 for v in moments)
    assert any(np.any(a != b) for a, b in zip(states[2], states[3], strict=True))
    assert_same(state(learner), states[3])


@pytest.mark.slow
def test_training_goes_on_equally_after_restoring(trained, tiny):
    learner, folder, _ = trained
    one, other = small_learner(), small_learner(seed=3)
    for each in (one, other):
        restore(each, folder)
        stream = tfmeta.episode_dataset(tiny, n_way=3, k_shot=1, n_query=2, meta_batch_size=2, seed=0, start=12)
        each.fit(stream, steps_per_epoch=2, verbose=0)
    assert_same(state(one), state(other))
    assert np.abs(one.encoder.weights[0].numpy() - learner.encoder.weights[0].numpy()).max() > 0


def test_without_checkpoints_nothing_is_done(tmp_path):
    learner = small_learner()
    before = state(learner)
    assert restore(learner, tmp_path) == 0
    assert restore(learner, tmp_path / "nowhere") == 0
    assert_same(state(learner), before)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_damaged_content_is_named_with_advice_that_works(trained, folder, damage):
    newest = found(folder)[-1]
    damage(newest)
    learner = small_learner(seed=1)
    before = state(learner)
    with pytest.raises(
        DamagedCheckpointError, match=r"is damaged.*Remove it to go on from the one before it"
    ) as caught:
        restore(learner, folder)
    assert str(newest) in str(caught.value)
    assert_same(state(learner), before)  # nothing of it was loaded
    newest.unlink()
    assert restore(learner, folder) == 3
    assert_same(state(learner), trained[2][2])


def test_advice_where_only_one_checkpoint_is_left(folder):
    found(folder)[0].unlink()
    (only,) = found(folder)
    flip(only)
    with pytest.raises(DamagedCheckpointError, match="Remove it to start from the beginning"):
        restore(small_learner(), folder)


def test_another_architecture_is_named(folder):
    newest = found(folder)[-1]
    with pytest.raises(DamagedCheckpointError, match=r"does not fit this architecture\. Resume with") as caught:
        restore(small_learner(filters=5), folder)
    assert str(newest) in str(caught.value)
    assert "\n" not in str(caught.value)
    maml = tfmeta.MAML(tfmeta.networks.conv4(3, filters=4, input_shape=(16, 16, 1)))
    maml.compile(optimizer=keras.optimizers.Adam(1e-2))
    with pytest.raises(DamagedCheckpointError, match="does not fit this architecture"):
        restore(maml, folder)


def test_files_that_are_no_checkpoints_are_passed_over(trained, folder):
    wanted = found(folder)
    (folder / ".writing-1234-checkpoint.weights.h5").write_bytes(b"half")
    (folder / "checkpoint.weights.h5").write_bytes(b"no epoch")
    (folder / "epoch-00009.weights.h5").write_bytes(b"no hash")
    (folder / f"epoch-00009-{'0' * 16}.weights.h5.part").write_bytes(b"another ending")
    (folder / f"my-epoch-00009-{'0' * 16}.weights.h5").write_bytes(b"another name")
    assert found(folder) == wanted
    learner = small_learner(seed=1)
    assert restore(learner, folder) == 4
    assert_same(state(learner), trained[2][3])


@pytest.mark.parametrize("left", [".writing.weights.h5", ".writing-1234-checkpoint.weights.h5"])
def test_a_half_written_leftover_is_removed_by_the_next_epoch(trained, tmp_path, left):
    (tmp_path / left).write_bytes(b"half")
    callback = Checkpoints(tmp_path)
    callback.set_model(trained[0])
    callback.on_epoch_end(6)
    (path,) = found(tmp_path)
    assert os.listdir(tmp_path) == [path.name]
    assert path.name.startswith("epoch-00007-")
    assert restore(small_learner(seed=1), tmp_path) == 7


def test_a_stop_while_writing_leaves_the_older_ones_usable(trained, folder, monkeypatch):
    """Whatever moment of writing a kill falls on, what is found is whole."""
    before = found(folder)
    callback = Checkpoints(folder)
    callback.set_model(trained[0])

    def stop(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.files, "sha256", stop)
    with pytest.raises(KeyboardInterrupt):
        callback.on_epoch_end(4)
    monkeypatch.undo()
    assert found(folder) == before
    assert not list(folder.glob(".writing*"))
    assert restore(small_learner(), folder) == 4
