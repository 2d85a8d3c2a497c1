"""MAML for a policy: limits, what a step does, what is reported, saving, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tfmeta.core.forward import values
from tfmeta.core.inner_loop import meta_gradient
from tfmeta.core.trajectories import action_log_probs, sample_trajectories
from tfmeta.core.trials import fold_in
from tfmeta.tasks.bandits import BernoulliBandits
from tfmeta.tasks.navigation import Navigation2D
from tfmeta.tasks.tabular_mdps import TabularMDPs
from tfmeta.tasks.task_streams import task_stream

KEY = tf.constant([5, 0], tf.int64)
ENVIRONMENTS = [BernoulliBandits(3), TabularMDPs(4, 3, 5), Navigation2D(6)]


def policy(environment, units=5):
    keras.utils.set_random_seed(1)
    hidden = keras.layers.Dense(units, "tanh")
    outputs = keras.layers.Dense(environment.actions.n_outputs, bias_initializer="random_normal")
    return keras.Sequential([keras.Input((max(1, environment.observation_size),)), hidden, outputs])


def learner(environment=None, **options):
    environment = Navigation2D(6) if environment is None else environment
    made = tfmeta.MAMLPolicy(policy(environment), environment, **({"n_trajectories": 4} | options))
    made.compile(keras.optimizers.SGD(0.1))
    return made


def one_task(environment):
    return tf.nest.map_structure(lambda t: t[0], environment.sample_tasks(1, KEY))


def stream(environment=None, meta_batch_size=3, seed=0):
    return task_stream(environment or Navigation2D(6), meta_batch_size=meta_batch_size, seed=seed)


def outer_gradient(made, task, steps=None):
    params = values(made.policy.trainable_variables)
    steps = made.inner_steps if steps is None else steps
    return meta_gradient(lambda params: made.task_loss(params, task, KEY, steps), params)[1]


def flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


# ---- limits --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_without_an_inner_step_it_is_the_plain_policy_gradient(environment):
    """Of the same trajectories, with returns and baselines in NumPy."""
    task, made = one_task(environment), learner(environment, inner_lr=0.0, discount=0.9)
    params = values(made.policy.trainable_variables)
    played = sample_trajectories(made.policy, params, environment, task, 4, fold_in(KEY, 1))
    rewards, n_steps = played.rewards.numpy().astype(np.float64), environment.episode_length
    weighted = 0.9 ** np.arange(n_steps) * rewards
    to_go = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]
    advantages = np.stack([to_go[i] - np.delete(to_go, i, axis=0).mean(axis=0) for i in range(4)])
    with tf.GradientTape() as tape:
        tape.watch(params)
        log_probs = action_log_probs(made.policy, params, environment.actions, played)
        loss = -tf.reduce_sum(log_probs * (advantages * played.alive.numpy()).astype(np.float32)) / (4 * n_steps)
    wanted = flat(tape.gradient(loss, params))
    assert np.abs(wanted).max() > 1e-3
    np.testing.assert_allclose(flat(outer_gradient(made, task)), wanted, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(flat(outer_gradient(made, task, steps=0)), wanted, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_surrogates_take_the_same_inner_step_and_differ_in_the_outer_gradient(environment):
    task = one_task(environment)
    ends, gradients = [], []
    for surrogate in ("dice", "naive"):
        made = learner(environment, inner_lr=0.5, surrogate=surrogate, n_trajectories=12)
        ends.append(flat(made.adapted(values(made.policy.trainable_variables), task, KEY, 1).params))
        gradients.append(flat(outer_gradient(made, task)))
    start = flat(values(made.policy.trainable_variables))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4, atol=1e-6)
    assert np.abs(ends[0] - start).max() > 1e-3
    assert np.abs(gradients[0] - gradients[1]).max() > 1e-4


def test_the_outer_gradient_goes_through_the_inner_step():
    """With the trajectories of both loops held fixed, it is the slope along any direction."""
    environment = Navigation2D(4)
    task, made = one_task(environment), learner(environment, inner_lr=0.5, surrogate="naive", discount=1.0)
    params = values(made.policy.trainable_variables)
    inner = sample_trajectories(made.policy, params, environment, task, 4, fold_in(fold_in(KEY, 0), 0))
    adapted = made.adapted(params, task, fold_in(KEY, 0), 1).params
    outer = sample_trajectories(made.policy, adapted, environment, task, 4, fold_in(KEY, 1))

    def advantages(played):
        to_go = np.cumsum(played.rewards.numpy()[:, ::-1], axis=1)[:, ::-1]
        return (to_go - (to_go.sum(axis=0) - to_go) / 3) * played.alive.numpy()

    def surrogate(params, played):
        log_probs = action_log_probs(made.policy, params, environment.actions, played)
        return -tf.reduce_sum(log_probs * advantages(played)) / 16

    def after(params):
        with tf.GradientTape() as tape:
            tape.watch(params)
            before = surrogate(params, inner)
        steps = tape.gradient(before, params)
        return surrogate([w - 0.5 * g for w, g in zip(params, steps, strict=True)], outer)

    rng, found = np.random.default_rng(0), outer_gradient(made, task)
    for _ in range(3):
        way = [tf.constant(rng.normal(size=w.shape), tf.float32) for w in params]
        there, back = ([w + sign * 3e-3 * v for w, v in zip(params, way, strict=True)] for sign in (1, -1))
        slope = float(after(there) - after(back)) / 6e-3
        assert sum(float(tf.reduce_sum(g * v)) for g, v in zip(found, way, strict=True)) == pytest.approx(
            slope, rel=0.02
        )


def test_an_inner_step_pulls_the_arm_that_pays_more_often():
    environment = BernoulliBandits(2)
    made = learner(environment, inner_lr=2.0, n_trajectories=50)
    for good in (0, 1):
        adapted = made.adapt(tf.one_hot(good, 2))
        before, after = (tf.nn.softmax(net(tf.ones([1, 1])))[0, good] for net in (made, adapted))
        assert float(after) > float(before) + 0.1


def test_a_task_of_ones_own_is_numbers_like_those_of_the_environment():
    made = learner()
    before = flat(values(made.policy.trainable_variables))
    ends = [flat(made.adapt(task, seed=seed).weights) for task, seed in (([0.1, 0.2], 0), (tf.constant([0.1, 0.2]), 0))]
    np.testing.assert_array_equal(*ends)
    assert np.abs(ends[0] - before).max() > 0
    assert np.abs(ends[0] - flat(made.adapt([0.1, 0.2], seed=1).weights)).max() > 0
    np.testing.assert_array_equal(flat(values(made.policy.trainable_variables)), before)
    for task in ([0.1], [0.1, 0.2, 0.3], [[0.1, 0.2]], None, "a", [0.1, float("nan")], {"x": [0.1, 0.2]}):
        with pytest.raises(ValueError, match=r"task must be finite numbers like float32 \[2\]. Received: task="):
            made.adapt(task)
    with pytest.raises(ValueError, match=r"seed must be a whole number"):
        made.adapt([0.1, 0.2], seed=-1)
    several = learner(TabularMDPs(2, 2, 3))
    task = (np.full((2, 2, 2), 0.5), [[1, 2], [3, 4]])
    assert isinstance(several.adapt(task), keras.Model)
    with pytest.raises(ValueError, match=r"like float32 \[2, 2, 2\], float32 \[2, 2\]. Received: task="):
        several.adapt(task[:1])


# ---- learning ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_step_of_fit_is_the_mean_of_the_tasks_gradients(environment):
    made = learner(environment, inner_lr=0.3)
    before = values(made.policy.trainable_variables)
    tasks = next(iter(stream(environment)))
    gradients = []
    for number in range(3):
        task, key = tf.nest.map_structure(lambda t: t[number], tasks), tf.constant([number, 0], tf.int64)  # noqa: B023
        loss = lambda params: made.task_loss(params, task, key, 1)  # noqa: B023, E731
        gradients.append(flat(meta_gradient(loss, before)[1]))
    made.fit(stream(environment), steps_per_epoch=1, verbose=0)
    moved = flat(values(made.policy.trainable_variables)) - flat(before)
    assert np.abs(moved).max() > 1e-4
    np.testing.assert_allclose(moved, -0.1 * np.mean(gradients, axis=0), rtol=1e-3, atol=1e-6)


def test_evaluate_reports_the_return_before_and_after_and_changes_nothing():
    environment = BernoulliBandits(2)
    made = learner(environment, inner_lr=5.0, n_trajectories=50)
    before = flat(values(made.policy.trainable_variables))
    tasks = stream(environment, meta_batch_size=100)
    found, again = (made.evaluate(tasks, steps=1, verbose=0, return_dict=True) for _ in range(2))
    assert found == again
    assert set(found) == {"loss", "return_before", "return_after"}
    assert 0.4 < found["return_before"] < 0.6
    assert found["return_before"] + 0.05 < found["return_after"] < 2 / 3 + 0.05, "the best arm pays 2/3 in the mean"
    assert found["loss"] == pytest.approx(-found["return_after"], rel=1e-5)
    np.testing.assert_array_equal(flat(values(made.policy.trainable_variables)), before)


def test_the_returns_are_those_of_episodes_without_a_discount():
    """No step: a policy that stays at 0 loses the goal's distance in every step."""
    environment = Navigation2D(5)
    made = learner(environment, eval_inner_steps=0, discount=0.5)
    *hidden, bias = made.policy.trainable_variables
    for weight in hidden:
        weight.assign(tf.zeros_like(weight))
    bias.assign([0.0, 0.0, -5.0, -5.0])
    goal = tf.constant([[0.3, 0.4]])
    found = made.evaluate(tf.data.Dataset.from_tensors(goal), verbose=0, return_dict=True)
    assert found["return_before"] == found["return_after"] == pytest.approx(-2.5, abs=0.02)
    assert found["loss"] == pytest.approx(0.5 * (2 - 2.0**-4) / 5, abs=0.01)


@pytest.mark.slow
def test_several_inner_steps_play_again_before_each():
    environment = Navigation2D(4)
    made, task = learner(environment, inner_steps=3, inner_lr=0.5), one_task(environment)
    params = values(made.policy.trainable_variables)
    long = made.adapted(params, task, KEY, 3)
    assert long.kept.shape == (3,)
    assert len(set(long.kept.numpy())) == 3
    short = made.adapted(params, task, KEY, 1)
    assert float(short.kept[0]) == float(long.kept[0])
    assert np.abs(flat(long.params) - flat(short.params)).max() > 1e-4
    made.fit(stream(environment), steps_per_epoch=1, verbose=0)
    assert np.abs(flat(values(made.policy.trainable_variables)) - flat(params)).max() > 0


@pytest.mark.slow
def test_a_stream_is_read_on_and_callbacks_want_more():
    kept = keras.callbacks.EarlyStopping("val_return_after", patience=5)
    at_once, in_two = learner(), learner()
    validation = stream(seed=9).take(1)
    history = at_once.fit(
        stream(), steps_per_epoch=1, epochs=2, validation_data=validation, callbacks=[kept], verbose=0
    )
    assert kept.mode == "max"
    assert {"return_after", "val_return_after"} <= set(history.history)
    for _ in range(2):
        in_two.fit(stream(), steps_per_epoch=1, verbose=0)
    np.testing.assert_allclose(*(flat(values(m.policy.trainable_variables)) for m in (at_once, in_two)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_saved_learner_goes_on_where_it_stopped(environment, tmp_path):
    options = {"inner_lr": 0.3, "eval_inner_steps": 2, "discount": 0.9, "surrogate": "naive", "name": "mine"}
    made = learner(environment, **options)
    made.compile(keras.optimizers.Adam(0.01))
    made.fit(stream(environment), steps_per_epoch=1, verbose=0)
    made.save(tmp_path / "policy.keras")
    loaded = keras.models.load_model(tmp_path / "policy.keras", safe_mode=True)
    assert loaded.environment == environment
    assert {name: loaded.get_config()[name] for name in options if name != "name"} | {"name": loaded.name} == options
    for one in (made, loaded):
        one.fit(stream(environment), steps_per_epoch=1, verbose=0)
    np.testing.assert_array_equal(*(flat(values(m.policy.trainable_variables)) for m in (made, loaded)))
    test = stream(environment, seed=5).take(1)
    assert made.evaluate(test, verbose=0) == loaded.evaluate(test, verbose=0)


# ---- what is refused -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_lr": -0.1}, "inner_lr must be a number of at least 0"),
        ({"inner_lr": float("nan")}, "inner_lr must be a number"),
        ({"inner_steps": -1}, "inner_steps must be a whole number of at least 0"),
        ({"inner_steps": 1.5}, "inner_steps must be a whole number"),
        ({"eval_inner_steps": -1}, "eval_inner_steps must be a whole number of at least 0"),
        ({"n_trajectories": 0}, "n_trajectories must be a whole number of at least 1"),
        ({"discount": 1.01}, "discount must be at most 1"),
        ({"discount": -0.1}, "discount must be a number of at least 0"),
        ({"surrogate": "DiCE"}, "surrogate must be one of dice, naive"),
        ({"surrogate": None}, "surrogate must be one of dice, naive"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"{message}.* Received: {next(iter(options))}="):
        learner(**options)


def test_a_policy_that_does_not_fit_is_refused():
    environment = Navigation2D()
    with pytest.raises(TypeError, match=r"policy must be a keras.Model. Received"):
        tfmeta.MAMLPolicy(lambda x: x, environment)
    with pytest.raises(ValueError, match=r"policy must be built"):
        tfmeta.MAMLPolicy(keras.Sequential([keras.layers.Dense(4)]), environment)
    with pytest.raises(ValueError, match=r"take observations \[batch, 2\].* Received: policy="):
        tfmeta.MAMLPolicy(policy(TabularMDPs()), environment)
    few = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"give \[batch, 4\] for Box.* outputs of shape \[None, 2\]"):
        tfmeta.MAMLPolicy(few, environment)
    for other in (None, "Navigation2D", Navigation2D):
        with pytest.raises(TypeError, match=r"environment must be an Environment. Received: environment="):
            tfmeta.MAMLPolicy(few, other)


def test_data_that_are_no_tasks_are_refused():
    made = learner()
    for do in (made.fit, made.evaluate):
        for data in (None, tf.zeros([3, 4]), [1]):
            with pytest.raises(ValueError, match=r"x must be a dataset of tasks: .*Navigation2D.* Received: "):
                do(data)
        for tasks in (stream(BernoulliBandits(3)), stream(TabularMDPs()), tf.data.Dataset.from_tensors(tf.zeros([2]))):
            with pytest.raises(ValueError, match=r"x must be a dataset of tasks: .*Navigation2D.* Received: "):
                do(tasks)
        with pytest.raises(ValueError, match=r"x is an endless stream: say steps"):
            do(stream())
    with pytest.raises(ValueError, match=r"validation_data must be a dataset of tasks"):
        made.fit(stream(), steps_per_epoch=1, validation_data=stream(BernoulliBandits(3)).take(1))
    with pytest.raises(ValueError, match=r"a callback must watch what is reported"):
        made.fit(stream(), steps_per_epoch=1, callbacks=[keras.callbacks.EarlyStopping("accuracy")])
    with pytest.raises(ValueError, match=r"compile takes no loss"):
        made.compile("adam", loss="mse")
