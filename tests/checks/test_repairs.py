"""The check of `repaired_step` finds each of the five faults where it alone is left in, and more."""

import functools

import keras
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks
from tfmeta.core.losses import cross_entropy


def logits_loss(labels, logits):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def outputs(body, head, params, x):
    n = len(body.trainable_variables)
    features, _ = body.stateless_call(params[:n], body.non_trainable_variables, x)
    return head.stateless_call(params[n:], head.non_trainable_variables, features)[0]


def repaired(on=0, judge=2, inner_loss=logits_loss, outer_loss=logits_loss, change=lambda g, i: g, sign=1.0,
             task_head=None, updated=lambda body, head: body + head, apply=lambda gradients: gradients, times=1,
             rate=lambda lr: lr, returns=lambda inner, outer: outer):  # fmt: skip
    """The repaired step with one thing changed."""

    def answer(body, head, optimizer, episode, inner_lr):
        variables = body.trainable_variables + head.trainable_variables
        with tf.GradientTape() as outer:
            theta = [tf.convert_to_tensor(v) for v in variables]
            with tf.GradientTape() as inner:
                inner.watch(theta)
                support_loss = inner_loss(episode[on + 1], outputs(body, head, theta, episode[on]))
            gradients = [change(g, i) for i, g in enumerate(inner.gradient(support_loss, theta))]
            fast = [w - sign * rate(inner_lr) * g for w, g in zip(theta, gradients, strict=True)]
            if task_head is None:
                logits = outputs(body, head, fast, episode[judge])
            else:
                n = len(body.trainable_variables)
                features, _ = body.stateless_call(fast[:n], body.non_trainable_variables, episode[judge])
                logits = task_head(head)(features)
            loss = outer_loss(episode[judge + 1], logits)
        chosen = updated(body.trainable_variables, head.trainable_variables)
        gradients = outer.gradient(loss, chosen)
        for _ in range(times):
            optimizer.apply(apply(gradients), chosen)
        return returns(support_loss, loss)

    return answer


right = repaired()


def with_one_model(body, head, optimizer, episode, inner_lr):
    """One Sequential model of both, Keras's own loss, apply_gradients, a float."""
    model = keras.Sequential([body, head])
    model(episode.support_x)
    criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = criterion(episode.support_y, model(episode.support_x, training=True))
        gradients = inner.gradient(loss, model.trainable_variables)
        fast = [v - inner_lr * g for v, g in zip(model.trainable_variables, gradients, strict=True)]
        logits, _ = model.stateless_call(fast, model.non_trainable_variables, episode.query_x)
        loss = criterion(episode.query_y, logits)
    gradients = outer.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return float(loss)


def applied_apart(body, head, optimizer, episode, inner_lr):
    """Two applications of the optimizer, one for each part."""
    variables = body.trainable_variables, head.trainable_variables
    with tf.GradientTape(persistent=True) as outer:
        theta = [tf.convert_to_tensor(v) for part in variables for v in part]
        with tf.GradientTape() as inner:
            inner.watch(theta)
            loss = cross_entropy(episode.support_y, outputs(body, head, theta, episode.support_x))
            loss = tf.reduce_mean(loss)
        fast = [w - inner_lr * g for w, g in zip(theta, inner.gradient(loss, theta), strict=True)]
        loss = tf.reduce_mean(cross_entropy(episode.query_y, outputs(body, head, fast, episode.query_x)))
    both = [outer.gradient(loss, part) for part in variables]
    for gradients, part in zip(both, variables, strict=True):
        optimizer.apply(gradients, part)
    return loss


def of_probabilities(labels, logits):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, tf.nn.softmax(logits)))


def by_keras(labels, logits):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


RIGHT = [
    ("as on the page", right),
    ("one model", with_one_model),
    ("applied apart", applied_apart),
    ("keras", repaired(inner_loss=by_keras, outer_loss=by_keras)),
    ("probabilities, once", repaired(inner_loss=of_probabilities, outer_loss=of_probabilities)),
    ("a graph", tf.function(right, autograph=False)),
    ("a partial", functools.partial(lambda step, *args: step(*args).numpy(), right)),
    ("a constant", repaired(rate=tf.constant)),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.repaired_step, answer)


def twice(labels, logits):
    return logits_loss(labels, tf.nn.softmax(logits))


def not_from_logits(labels, logits):
    return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits))


def sums(labels, logits):
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def rebuilt(head):
    return keras.layers.Dense.from_config(head.get_config())


def set_weights(restore=False, only_body=False):
    def answer(body, head, optimizer, episode, inner_lr):
        model = keras.Sequential([body, head])
        model(episode.support_x)
        old = model.get_weights()
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = logits_loss(episode.support_y, model(episode.support_x))
            gradients = inner.gradient(loss, model.trainable_variables)
            model.set_weights([w - inner_lr * g for w, g in zip(model.trainable_variables, gradients, strict=True)])
            loss = logits_loss(episode.query_y, model(episode.query_x))
        chosen = body.trainable_variables if only_body else model.trainable_variables
        gradients = outer.gradient(loss, chosen)
        if restore:
            model.set_weights(old)
        optimizer.apply(gradients, chosen)
        return loss

    return answer


def broken(body, head, optimizer, episode, inner_lr):
    """The notebook's step with all its faults, but for the softmax, which was the head's."""
    query_x, query_y = episode.query_x, episode.query_y
    model = keras.Sequential([body, head])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = logits_loss(query_y, model(query_x))
        gradients = inner.gradient(loss, model.trainable_variables)
        model.set_weights([w - inner_lr * g for w, g in zip(model.trainable_variables, gradients, strict=True)])
        loss = logits_loss(query_y, rebuilt(head)(body(query_x)))
    optimizer.apply(outer.gradient(loss, body.trainable_variables), body.trainable_variables)
    return loss


def by_hand(body, head, optimizer, episode, inner_lr):
    old = body.get_weights(), head.get_weights()
    loss = right(body, head, keras.optimizers.SGD(1.0), episode, inner_lr)
    for part, weights in zip((body, head), old, strict=True):
        part.set_weights([w + 0.5 * (v.numpy() - w) for w, v in zip(weights, part.trainable_variables, strict=True)])
    return loss


def applied_to_fast(body, head, optimizer, episode, inner_lr):
    """The exact gradient, applied after theta' was written into the variables."""
    old = body.get_weights() + head.get_weights()
    loss = right(body, head, optimizer, episode, inner_lr)
    variables = body.trainable_variables + head.trainable_variables
    change = [v.numpy() - w for v, w in zip(variables, old, strict=True)]
    for v, w in zip(variables, old, strict=True):
        v.assign(w)
    with tf.GradientTape() as tape:
        support_loss = logits_loss(episode.support_y, head(body(episode.support_x)))
    for v, g, c in zip(variables, tape.gradient(support_loss, variables), change, strict=True):
        v.assign_add(c - inner_lr * g)
    return loss


def only_head(g, i):
    return g if i >= 2 else 0 * g


def only_body(g, i):
    return g if i < 2 else 0 * g


def without_watch(body, head, optimizer, episode, inner_lr):
    variables = body.trainable_variables + head.trainable_variables
    theta = [tf.convert_to_tensor(v) for v in variables]
    with tf.GradientTape() as outer:
        fast = [w - inner_lr * (w - w) for w in theta]
        loss = logits_loss(episode.query_y, outputs(body, head, fast, episode.query_x))
    optimizer.apply(outer.gradient(loss, variables), variables)
    return loss


def remembering():
    seen = []

    def answer(body, head, optimizer, episode, inner_lr):
        seen.append(inner_lr)
        return right(body, head, optimizer, episode, seen[0])

    return answer


WRONG = [
    ("fault 1 is still there", repaired(on=2)),
    ("fault 1 is still", repaired(on=2, change=lambda g, i: tf.stop_gradient(g))),
    ("fault 2 is still there", set_weights()),
    ("the next task starts from this task's weights", set_weights(only_body=True)),
    ("fault 3 is still there", repaired(task_head=rebuilt)),
    ("fault 3 is still", broken),
    ("fault 4 is still there", repaired(inner_loss=twice, outer_loss=twice)),
    ("the softmax is taken twice", repaired(outer_loss=twice)),
    ("fault 4 is", repaired(inner_loss=twice)),
    ("a loss of probabilities gets logits", repaired(inner_loss=not_from_logits, outer_loss=not_from_logits)),
    ("from_logits=True", repaired(outer_loss=not_from_logits)),
    ("fault 5 is still there", repaired(updated=lambda body, head: body)),
    ("And the gradient is first order", repaired(
        updated=lambda body, head: body, change=lambda g, i: tf.stop_gradient(g))),
    ("only the head is updated", repaired(updated=lambda body, head: head)),
    ("this is the first-order step", repaired(change=lambda g, i: tf.stop_gradient(g))),
    ("the old values put back", set_weights(restore=True)),
    ("the optimizer was applied to theta'", applied_to_fast),
    ("the head as it was before the inner step", repaired(task_head=lambda head: head)),
    ("only the head took the inner step", repaired(change=only_head)),
    ("only the body was adapted", repaired(change=only_body)),
    ("nothing was adapted", repaired(rate=lambda lr: 0.0)),
    ("the inner step climbs", repaired(sign=-1.0)),
    ("inner_lr is missing", repaired(rate=lambda lr: 1.0)),
    ("the outer loss was taken on the support set", repaired(judge=0)),
    ("no outer step was taken", repaired(times=0)),
    ("applied twice", repaired(times=2)),
    ("this climbs", repaired(apply=lambda gradients: [-g for g in gradients])),
    ("the optimizer was not asked", by_hand),
    ("the query losses are added up", repaired(outer_loss=sums, returns=lambda i, o: o / 9)),
    ("the support losses are added up", repaired(inner_loss=sums)),
    ("losses are added up", repaired(inner_loss=sums, outer_loss=sums)),
    ("this is the support loss", repaired(returns=lambda inner, outer: inner)),
    ("is not the query loss at theta'", repaired(returns=lambda inner, outer: outer + 1)),
    ("yours has shape", repaired(returns=lambda inner, outer: tf.stack([outer]))),
    ("the relative error of the new weights", repaired(apply=lambda gradients: [tf.sign(g) for g in gradients])),
    ("does something stay from call to call", remembering()),
    ("Take theta from the variables *inside* the outer tape", without_watch),
    ("ZeroDivisionError", lambda *args: 1 / 0),
]  # fmt: skip


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.repaired_step, answer, words)
