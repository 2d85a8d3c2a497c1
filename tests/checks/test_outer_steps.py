"""The check of `outer_step` tells MAML's step from everything that is nearly MAML's step."""

import functools

import keras
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks, functional
from tfmeta.checks.problems import small_forward, squared_error
from tfmeta.core.episode import Episode


def forward(network, params, x):
    """What network.stateless_call gives, without a layer's overhead: there are many answers to try."""
    return small_forward(params, x)


def inner(network, params, x, y, inner_lr, change=lambda g: g, watch=True, loss=squared_error):
    with tf.GradientTape() as tape:
        if watch:
            tape.watch(params)
        value = loss(y, forward(network, params, x))
    return [w - inner_lr * change(g) for w, g in zip(params, tape.gradient(value, params), strict=True)]


def tasks_of(episodes):
    return [Episode(*(part[i] for part in episodes)) for i in range(episodes.support_x.shape[0])]


def moved(params, gradients, rate):
    return [w - rate * g for w, g in zip(params, gradients, strict=True)]


def maml(on=0, judge=2, over=tf.reduce_mean, change=lambda g: g, pick=slice(None), rates=lambda a, b: (a, b), steps=1,
         loss=squared_error, start=lambda fast, params: params, watch=True):  # fmt: skip
    """An outer step with one thing changed."""

    def answer(network, params, episodes, inner_lr, outer_lr):
        inner_lr, outer_lr = rates(inner_lr, outer_lr)
        with tf.GradientTape() as outer:
            outer.watch(params)
            losses = []
            for task in tasks_of(episodes)[pick]:
                fast = params
                for _ in range(steps):
                    fast = inner(network, fast, task[on], task[on + 1], inner_lr, change, watch, loss)
                losses.append(loss(task[judge + 1], forward(network, fast, task[judge])))
            value = over(tf.stack(losses))
        return moved(start(fast, params), outer.gradient(value, params), outer_lr)

    return answer


right = maml()


def task_by_task(network, params, episodes, inner_lr, outer_lr):
    total = [tf.zeros_like(w) for w in params]
    for task in zip(*episodes, strict=True):
        with tf.GradientTape() as outer:
            outer.watch(params)
            fast = inner(network, params, task[0], task[1], inner_lr)
            loss = squared_error(task[3], forward(network, fast, task[2]))
        total = [t + g for t, g in zip(total, outer.gradient(loss, params), strict=True)]
    return [w - outer_lr * t / len(episodes.support_x) for w, t in zip(params, total, strict=True)]


def mapped(over):
    def answer(network, params, episodes, inner_lr, outer_lr):
        def task_loss(task):
            fast = inner(network, params, task[0], task[1], inner_lr)
            return squared_error(task[3], forward(network, fast, task[2]))

        with tf.GradientTape() as outer:
            outer.watch(params)
            loss = tf.reduce_mean(over(task_loss, episodes))
        return moved(params, outer.gradient(loss, params), outer_lr)

    return answer


def by_map_fn(task_loss, episodes):
    return tf.map_fn(task_loss, episodes, fn_output_signature=episodes.support_x.dtype)


def by_the_library(network, params, episodes, inner_lr, outer_lr):
    settings = {"inner_lr": inner_lr, "inner_steps": 1, "loss": squared_error}
    each = [functional.meta_gradient(network, params, task, **settings).gradients for task in tasks_of(episodes)]
    return [w - outer_lr * tf.reduce_mean(tf.stack(g), axis=0) for w, *g in zip(params, *each, strict=True)]


def with_keras(network, params, episodes, inner_lr, outer_lr):
    criterion = keras.losses.MeanSquaredError()
    theta = params
    with tf.GradientTape() as outer:
        outer.watch(theta)
        total = 0.0
        for support_x, support_y, query_x, query_y in zip(*episodes, strict=True):
            with tf.GradientTape() as tape:
                tape.watch(theta)
                outputs, _ = network.stateless_call(theta, network.non_trainable_variables, support_x)
                loss = criterion(support_y, outputs)
            fast = [w - inner_lr * g for w, g in zip(theta, tape.gradient(loss, theta), strict=True)]
            outputs, _ = network.stateless_call(fast, network.non_trainable_variables, query_x)
            total += criterion(query_y, outputs) / len(episodes.query_x)
    return [
        keras.ops.convert_to_numpy(w - outer_lr * g) for w, g in zip(theta, outer.gradient(total, theta), strict=True)
    ]


def with_rates(dtype):
    return maml(rates=lambda a, b: (tf.constant(a, dtype), tf.constant(b, dtype)))


RIGHT = [
    ("plain", right),
    ("task by task", task_by_task),
    ("map_fn", mapped(by_map_fn)),
    ("vectorized map", mapped(tf.vectorized_map)),
    ("the library", by_the_library),
    ("as on the page, and arrays", with_keras),
    ("a partial", functools.partial(lambda step, *args: tuple(step(*args)), right)),
    ("a graph", tf.function(right, autograph=False)),
    ("constants of single precision", with_rates(tf.float32)),
    ("constants of double precision", with_rates(tf.float64)),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.outer_step, answer)


def of_theta_prime(network, params, episodes, inner_lr, outer_lr):
    """Nothing is stopped; the outer tape is asked for the wrong gradient."""
    total = [tf.zeros_like(w) for w in params]
    for task in tasks_of(episodes):
        with tf.GradientTape() as outer:
            fast = inner(network, params, task[0], task[1], inner_lr)
            outer.watch(fast)
            loss = squared_error(task[3], forward(network, fast, task[2]))
        total = [t + g / len(episodes.support_x) for t, g in zip(total, outer.gradient(loss, fast), strict=True)]
    return moved(params, total, outer_lr)


def shared(stop):
    def answer(network, params, episodes, inner_lr, outer_lr):
        with tf.GradientTape() as outer:
            outer.watch(params)
            fast, losses = params, []
            for task in tasks_of(episodes):
                fast = inner(network, fast, task[0], task[1], inner_lr, tf.stop_gradient if stop else tf.identity)
                losses.append(squared_error(task[3], forward(network, fast, task[2])))
            loss = tf.reduce_mean(losses)
        return moved(params, outer.gradient(loss, params), outer_lr)

    return answer


def serial(network, params, episodes, inner_lr, outer_lr):
    for i in range(len(episodes.support_x)):
        params = right(network, params, Episode(*(part[i : i + 1] for part in episodes)), inner_lr, outer_lr)
    return params


def all_together(network, params, episodes, inner_lr, outer_lr):
    merged = Episode(*(tf.reshape(part, (1, -1, part.shape[-1])) for part in episodes))
    return right(network, params, merged, inner_lr, outer_lr)


def fast_of_all(network, params, episodes, inner_lr):
    return [inner(network, params, task[0], task[1], inner_lr) for task in tasks_of(episodes)]


def from_the_last(network, params, episodes, inner_lr, outer_lr):
    for task in tasks_of(episodes):
        with tf.GradientTape() as outer:
            outer.watch(params)
            fast = inner(network, params, task[0], task[1], inner_lr)
            loss = squared_error(task[3], forward(network, fast, task[2]))
        gradients = outer.gradient(loss, params)
    return moved(fast, gradients, outer_lr)


def from_the_mean(network, params, episodes, inner_lr, outer_lr):
    fast = [
        tf.reduce_mean(tf.stack(w), axis=0) for w in zip(*fast_of_all(network, params, episodes, inner_lr), strict=True)
    ]
    change = [n - w for n, w in zip(right(network, params, episodes, inner_lr, outer_lr), params, strict=True)]
    return [w + c for w, c in zip(fast, change, strict=True)]


def reptile(network, params, episodes, inner_lr, outer_lr):
    fast = fast_of_all(network, params, episodes, inner_lr)
    return [w + outer_lr * tf.reduce_mean(tf.stack(f) - w, axis=0) for w, *f in zip(params, *fast, strict=True)]


def of_the_network(network, params, *rest):
    return right(network, [tf.convert_to_tensor(v) for v in network.trainable_variables], *rest)


def called_directly(network, params, *rest):
    own = [tf.convert_to_tensor(v) for v in network.trainable_variables]
    return [w + n - v for w, n, v in zip(params, right(network, own, *rest), own, strict=True)]


def assigned(network, params, episodes, inner_lr, outer_lr):
    for task in tasks_of(episodes):
        for variable, value in zip(network.trainable_variables, params, strict=True):
            variable.assign(value)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as tape:
                loss = squared_error(task[1], network(task[0]))
            gradients = tape.gradient(loss, network.trainable_variables)
            for variable, g in zip(network.trainable_variables, gradients, strict=True):
                variable.assign_sub(inner_lr * g)
            loss = squared_error(task[3], network(task[2]))
        params = moved(params, outer.gradient(loss, network.trainable_variables), outer_lr / 3)
    return params


def exact_but_written(network, params, *rest):
    found = right(network, params, *rest)
    for variable, value in zip(network.trainable_variables, found, strict=True):
        variable.assign(value)
    return found


def in_place(network, params, *rest):
    params[:] = right(network, list(params), *rest)
    return params


def without_axis(network, params, episodes, inner_lr, outer_lr):
    """The axis of tasks is overlooked: the whole meta-batch goes through the network."""
    fast = inner(network, params, episodes.support_x, episodes.support_y, inner_lr)
    return inner(network, fast, tf.matmul(episodes.query_x, episodes.query_x), episodes.query_y, outer_lr)


def remembering():
    seen = []

    def answer(*args):
        seen.append(0)
        return [w + 1e-3 * (len(seen) > 2) for w in right(*args)]

    return answer


def sums(targets, outputs):
    return tf.reduce_sum((targets - outputs) ** 2)


def after(change):
    """The right new theta, changed afterwards by `change(new, theta)`, tensor by tensor."""
    return lambda network, params, *rest: [
        change(n, w) for n, w in zip(right(network, list(params), *rest), params, strict=True)
    ]


WRONG = [
    ("the first-order step (FOMAML)", maml(change=tf.stop_gradient)),
    ("came out of tf.stop_gradient or .numpy()", maml(change=lambda g: tf.constant(g.numpy()))),
    ("with respect to theta' instead of theta", of_theta_prime),
    ("you added up the tasks' gradients", maml(over=tf.reduce_sum)),
    ("this climbs", maml(rates=lambda a, b: (a, -b))),
    ("outer_lr is missing in the outer step.", maml(rates=lambda a, b: (a, 1.0))),
    ("and the gradients were added up", maml(rates=lambda a, b: (a, 1.0), over=tf.reduce_sum)),
    ("yours took inner_lr", maml(rates=lambda a, b: (a, a))),
    ("the number of tasks twice", maml(over=lambda losses: tf.reduce_mean(losses) / 3)),
    ("these are gradients", after(lambda new, w: (w - new) / 0.5)),
    ("this is the change", after(lambda new, w: new - w)),
    ("theta came back unchanged", lambda network, params, *_: params),
    ("only the first task", maml(pick=slice(0, 1))),
    ("only the last task", maml(pick=slice(-1, None))),
    ("the outer loss was taken on the support set", maml(judge=0)),
    ("the inner step was taken on the queries", maml(on=2)),
    ("support and query set are exchanged", maml(on=2, judge=0)),
    ("joint training", maml(steps=0)),
    ("joint training on the support sets", maml(steps=0, judge=0)),
    ("two inner steps", maml(steps=2)),
    ("the inner step climbs", maml(rates=lambda a, b: (-a, b))),
    ("inner_lr is missing in the inner step", maml(rates=lambda a, b: (1.0, b))),
    ("inner_lr and outer_lr are exchanged", maml(rates=lambda a, b: (b, a))),
    ("yours took outer_lr", maml(rates=lambda a, b: (b, b))),
    ("fast weights are shared by tasks", shared(stop=False)),
    ("the theta' of the task before", shared(stop=True)),
    ("theta was updated from theta'", maml(start=lambda fast, params: fast)),
    ("thrown away after it", from_the_mean),
    ("fast weights are for one task", from_the_last),
    ("take the mean. And the gradient is first order", maml(over=tf.reduce_sum, change=tf.stop_gradient)),
    ("*add* to the loss. And the gradient", maml(pick=slice(-1, None), change=tf.stop_gradient)),
    ("Reptile's step", reptile),
    ("theta moved after every task", serial),
    ("one inner step was taken for all tasks together", all_together),
    ("this starts from the network's own weights", of_the_network),
    ("the gradients were taken at the network's own weights", called_directly),
    ("the network's own weights have moved", assigned),
    ("written to its variables", exact_but_written),
    ("leaks from task to task", in_place),
    ("tape.watch(params) before the loss", maml(watch=False)),
    ("in both losses squared errors are summed", maml(loss=sums)),
    ("the relative error of the new theta", maml(loss=lambda y, f: tf.reduce_mean(tf.abs(y - f)))),
    ("is the number of tasks written into", maml(over=lambda losses: tf.reduce_sum(losses) / 3)),
    ("leaks from step to step", remembering()),
    ("Take one task after the other", without_axis),
    ("the new theta, 4 tensors", lambda *args: right(*args)[:2]),
    ("without an axis of tasks", after(lambda new, w: tf.stack([new] * 3))),
    ("a tensor of the new theta is None", lambda network, params, *_: [None] * len(params)),
]


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.outer_step, answer, words)
