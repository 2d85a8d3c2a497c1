"""The outer loop's loss with adversarial queries, and MAML's options that change what a step sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmeta
from tests.algorithms.differences import (
    assert_is_gradient,
    assert_same,
    contribution,
    in_graph,
    largest_difference,
    smooth_network,
)
from tests.algorithms.pieces import task, two_blocks
from tfmeta import functional
from tfmeta.core import losses
from tfmeta.core.inner_loop import meta_gradient


@pytest.fixture
def one(random_episodes):
    return task(random_episodes())


def params_of(network):
    return functional.values(network.trainable_variables)


# -- the query loss ------------------------------------------------------------------------------------------------
def test_epsilon_0_is_the_plain_loss(one):
    network = smooth_network(batch_norm=True)
    value, outputs = losses.query_loss(network, params_of(network), one)
    plain = functional.forward(network, params_of(network), one.query_x)
    np.testing.assert_array_equal(outputs, plain)
    assert float(value) == float(functional.cross_entropy(one.query_y, plain))
    again, _ = losses.query_loss(network, params_of(network), one, adversarial_epsilon=0.0)
    assert float(again) == float(value)
    # And the limit, from above: the loss changes by half of epsilon times the slope.
    near, _ = losses.query_loss(network, params_of(network), one, adversarial_epsilon=1e-7)
    with tf.GradientTape() as tape:
        tape.watch(one.query_x)
        loss = functional.cross_entropy(one.query_y, functional.forward(network, params_of(network), one.query_x))
    slope = float(tf.reduce_sum(tf.abs(tape.gradient(loss, one.query_x))))
    assert float(near - value) == pytest.approx(0.5e-7 * slope, rel=1e-4)


def test_the_fast_gradient_sign_of_a_linear_model_by_hand():
    """f(x) = w x with squared loss: the slope in x is 2 (w x - y) w, of which only the sign counts."""
    w = [tf.constant([[1.0], [-2.0], [0.0]])]
    x = tf.constant([[1.0, 1.0, 1.0], [3.0, 0.0, 5.0]])
    y = tf.constant([[0.0], [1.0]])
    episode = tfmeta.Episode(x, y, x, y)
    # Outputs -1 and 3, errors -1 and 2. Signs of the slopes: (-, +, 0) and (+, -, 0).
    # Moved by 0.5: (0.5, 1.5, 1) -> -2.5 and (3.5, -0.5, 5) -> 4.5, errors -2.5 and 3.5.
    value, outputs = losses.query_loss(
        lambda params, x: x @ params[0], w, episode, loss=lambda t, o: (t - o) ** 2, adversarial_epsilon=0.5
    )
    np.testing.assert_allclose(outputs, [[-1.0], [3.0]])
    assert float(value) == pytest.approx(0.5 * (1 + 4) / 2 + 0.5 * (2.5**2 + 3.5**2) / 2)


def test_the_examples_are_held_constant_in_the_outer_gradient():
    """d/dw of 1/2 (w x - y)^2 + 1/2 (w x' - y)^2 with x' = x + epsilon sign(...) as a number."""
    x, y, w = tf.constant([[2.0]]), tf.constant([[3.0]]), tf.constant([[4.0]])
    episode = tfmeta.Episode(x, y, x, y)

    def loss(params):
        squares = {"loss": lambda t, o: (t - o) ** 2, "adversarial_epsilon": 0.25}
        return losses.query_loss(lambda params, x: x @ params[0], params, episode, **squares)

    _, gradients = meta_gradient(loss, [w])
    # Errors 8 - 3 = 5 and, at x' = 2.25, 9 - 3 = 6: 1/2 (2 * 5 * 2 + 2 * 6 * 2.25).
    assert gradients[0].numpy().item() == pytest.approx(0.5 * (20 + 27))


def test_it_raises_the_loss_and_more_with_more(one):
    network = smooth_network()
    values = [
        float(losses.query_loss(network, params_of(network), one, adversarial_epsilon=e)[0])
        for e in (0.0, 0.01, 0.05, 0.2)
    ]
    assert values == sorted(values)
    assert values[3] > 1.05 * values[0]
    noise = np.random.default_rng(0).choice([-0.2, 0.2], one.query_x.shape)
    moved = functional.forward(network, params_of(network), one.query_x + noise)
    random = 0.5 * (values[0] + float(functional.cross_entropy(one.query_y, moved)))
    assert values[3] > random, "the worst direction beats a random one of the same size"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["nested", "mixed"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_meta_gradient_with_fixed_examples_equals_finite_differences(one, mode, batch_norm):
    network, epsilon = smooth_network(batch_norm=batch_norm), 0.1
    params, inner = params_of(network), {"inner_lr": 0.3, "inner_steps": 2}
    learner = tfmeta.MAML(network, gradient_mode=mode, adversarial_epsilon=epsilon, **inner)
    result = contribution(learner, one)

    def at(theta, x):
        fast = functional.adapt(network, theta, one.support_x, one.support_y, **inner)
        return functional.cross_entropy(one.query_y, functional.forward(network, fast, x))

    with tf.GradientTape() as tape:
        tape.watch(one.query_x)
        loss = at(params, one.query_x)
    moved = one.query_x + epsilon * tf.sign(tape.gradient(loss, one.query_x))
    assert float(result.loss) == pytest.approx(float(0.5 * (loss + at(params, moved))), rel=1e-12)
    np.testing.assert_allclose(result.query_outputs, functional.forward(
        network, functional.adapt(network, params, one.support_x, one.support_y, **inner), one.query_x
    ), rtol=1e-9)  # fmt: skip
    assert_is_gradient(result.gradients, in_graph(lambda w: 0.5 * (at(w, one.query_x) + at(w, moved))), params)


# -- in MAML -------------------------------------------------------------------------------------------------------
def maml(**options):
    learner = tfmeta.MAML(smooth_network(dtype="float32"), **({"inner_lr": 0.3, "inner_steps": 2} | options))
    learner.compile(optimizer=keras.optimizers.SGD(0.5))
    return learner


def end_of_training(random_episodes, steps=3, **options):
    learner = maml(**options)
    for seed in range(steps):
        learner.train_on_batch(random_episodes(seed=seed, dtype=np.float32))
    return [v.numpy() for v in learner.meta_variables]


def test_images_are_moved_by_epsilon_at_every_pixel_that_matters(tiny):
    """FGSM on images, through convolutions and batch norm, after an inner step."""
    keras.utils.set_random_seed(0)
    network = two_blocks(3)
    image_task, epsilon = tfmeta.sample_episode(tiny, n_way=3, k_shot=1, n_query=2, seed=0), 0.05
    fast = functional.adapt(
        network, params_of(network), image_task.support_x, image_task.support_y, inner_lr=0.1, inner_steps=1
    )
    with tf.GradientTape() as tape:
        tape.watch(image_task.query_x)
        value = functional.cross_entropy(image_task.query_y, functional.forward(network, fast, image_task.query_x))
    moved = image_task.query_x + epsilon * tf.sign(tape.gradient(value, image_task.query_x))
    assert np.mean(np.abs(moved - image_task.query_x) > 0.04) > 0.5
    attacked = functional.cross_entropy(image_task.query_y, functional.forward(network, fast, moved))
    found, _ = functional.query_loss(network, fast, image_task, adversarial_epsilon=epsilon)
    assert float(found) == pytest.approx(float(0.5 * (value + attacked)), rel=1e-5)
    assert float(attacked) > 1.02 * float(value)


@pytest.mark.slow
def test_maml_trains_with_adversarial_queries(random_episodes):
    nested, mixed = (
        end_of_training(random_episodes, adversarial_epsilon=0.2, gradient_mode=m) for m in ("nested", "mixed")
    )
    assert_same(nested, mixed, rtol=1e-3, atol=1e-5)
    assert largest_difference(nested, end_of_training(random_episodes)) > 1e-3
    learner = maml(adversarial_epsilon=0.2)
    data = tf.data.Dataset.from_tensors(random_episodes(dtype=np.float32))
    history = learner.fit(data.repeat(), steps_per_epoch=20, epochs=2, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    plain = maml()
    plain.set_weights(learner.get_weights())
    # Scores and adaptation are of the queries as they are: the option belongs to training.
    assert learner.evaluate(data, verbose=0) == plain.evaluate(data, verbose=0)


@pytest.mark.slow
def test_clipped_inner_steps_in_training_and_at_test(random_episodes):
    one = task(random_episodes(dtype=np.float32))
    free, clipped, loose = maml(inner_steps=1), maml(inner_steps=1, inner_clip_norm=0.05), maml(inner_clip_norm=1e6)
    theta = functional.values(free.meta_variables)
    steps = {k: [a - b for a, b in zip(m.fast_weights(one), theta, strict=True)] for k, m in
             {"free": free, "clipped": clipped}.items()}  # fmt: skip
    norms = {k: float(tf.linalg.global_norm(v)) for k, v in steps.items()}
    assert norms["free"] > 0.3 * 0.05
    assert norms["clipped"] == pytest.approx(0.3 * 0.05, rel=1e-4)
    assert_same(steps["clipped"], [s * norms["clipped"] / norms["free"] for s in steps["free"]], rtol=1e-3, atol=1e-6)
    assert_same(loose.fast_weights(one), maml().fast_weights(one), rtol=1e-6)
    end = end_of_training(random_episodes)
    assert largest_difference(end_of_training(random_episodes, inner_clip_norm=0.05), end) > 1e-3
    assert_same(end_of_training(random_episodes, inner_clip_norm=1e6), end, rtol=1e-4, atol=1e-6)


def test_gradient_through_a_clipped_step_equals_finite_differences(one):
    network = smooth_network()
    rule = functional.clipped(functional.sgd(0.3), 0.1)
    params, inner = params_of(network), {"inner_lr": rule, "inner_steps": 2}

    def loss(theta):
        fast = [tf.convert_to_tensor(w) for w in theta]
        for _ in range(2):
            with tf.GradientTape() as tape:
                tape.watch(fast)
                value = functional.cross_entropy(one.support_y, functional.forward(network, fast, one.support_x))
            gradients = tape.gradient(value, fast)
            norm = np.sqrt(sum(np.sum(g.numpy() ** 2) for g in gradients))
            assert norm > 0.1, "both steps are clipped"
            fast = [w - 0.3 * 0.1 / norm * g for w, g in zip(fast, gradients, strict=True)]
        return functional.cross_entropy(one.query_y, functional.forward(network, fast, one.query_x))

    result = functional.meta_gradient(network, params, one, **inner)
    assert float(result.loss) == pytest.approx(float(loss(params)), rel=1e-10)
    assert_is_gradient(result.gradients, loss, params)


def test_options_are_saved(tmp_path):
    maml(inner_clip_norm=0.5, adversarial_epsilon=0.1).save(tmp_path / "learner.keras")
    loaded = keras.models.load_model(tmp_path / "learner.keras")
    assert (loaded.inner_clip_norm, loaded.adversarial_epsilon) == (0.5, 0.1)
    config = maml().get_config()
    assert (config["inner_clip_norm"], config["adversarial_epsilon"]) == (None, 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_clip_norm": 0}, r"must be a number above 0. Received: inner_clip_norm=0"),
        ({"inner_clip_norm": -1.0}, r"above 0. Received: inner_clip_norm=-1.0"),
        ({"inner_clip_norm": "1"}, r"above 0. Received: inner_clip_norm='1'"),
        ({"adversarial_epsilon": -0.1}, r"at least 0. Received: adversarial_epsilon=-0.1"),
        ({"adversarial_epsilon": float("nan")}, r"at least 0. Received: adversarial_epsilon=nan"),
        ({"adversarial_epsilon": None}, r"at least 0. Received: adversarial_epsilon=None"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        maml(**options)
