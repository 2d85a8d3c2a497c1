"""The check of `sample_episode` accepts the right answers and names what is wrong with the others."""

import copy

import numpy as np
import pytest
import tensorflow as tf

from tests.checks.table import assert_right, assert_wrong, rows
from tfmeta import checks
from tfmeta.core.episode import Episode


def classes_of(labels, n_way, rng):
    return rng.choice(np.unique(labels), n_way, replace=False)


def rows_of(pool, n, rng):
    return rng.choice(pool, n, replace=False)


def cut(rows, k_shot):
    return rows[:k_shot], rows[k_shot:]


def draw(classes=classes_of, image_rows=rows_of, relabel=True, split=cut):
    """An answer built from its draws: `classes(labels, n_way, rng)`, `image_rows(pool, n, rng)`, then cut in two."""

    def answer(images, labels, n_way, k_shot, n_query, rng):
        support, query = [], []
        chosen = classes(labels, n_way, rng)
        for c in chosen:
            of_support, of_query = split(image_rows(np.flatnonzero(labels == c), k_shot + n_query, rng), k_shot)
            support.append(of_support)
            query.append(of_query)
        support, query = np.concatenate(support), np.concatenate(query)
        names = np.arange(n_way) if relabel else chosen
        return images[support], np.repeat(names, k_shot), images[query], np.repeat(names, n_query)

    return answer


right = draw()


def then(change):
    """The right episode, changed afterwards by `change(support_x, support_y, query_x, query_y)`."""
    return lambda *args: change(*right(*args))


def on_images(change):
    return then(lambda sx, sy, qx, qy: (change(sx), sy, change(qx), qy))


def as_lists(images, labels, n_way, k_shot, n_query, rng):
    parts = [], [], [], []
    for k, c in enumerate(rng.permutation(sorted(set(labels.tolist())))[:n_way]):
        mine = [image for image, label in zip(images, labels, strict=True) if label == c]
        for i, j in enumerate(rng.permutation(len(mine))[: k_shot + n_query]):
            parts[0 if i < k_shot else 2].append(mine[j])
            parts[1 if i < k_shot else 3].append(k)
    return list(parts)


def shuffled_sets(sx, sy, qx, qy):
    order, other = np.random.default_rng(0).permutation(len(sy)), np.random.default_rng(1).permutation(len(qy))
    return sx[order], sy[order], qx[other], qy[other]


RIGHT = [
    ("as on the page", right),
    ("lists", as_lists),
    ("scaled", on_images(lambda x: x / 255)),
    ("scaled to -1 .. 1", on_images(lambda x: x / 127.5 - 1)),
    ("inverted", on_images(lambda x: 1 - x / 255)),
    ("standardised", on_images(lambda x: (x - x.mean()) / x.std())),
    ("bytes", on_images(lambda x: x.astype(np.uint8))),
    ("tensors", on_images(tf.constant)),
    ("an Episode", then(Episode)),
    ("labels as int32", then(lambda sx, sy, qx, qy: (sx, sy.astype(np.int32), qx, qy.astype(np.float32)))),
    ("shuffled sets", then(shuffled_sets)),
    (
        "permutations",
        draw(lambda y, n, rng: rng.permutation(np.unique(y))[:n], lambda p, n, rng: rng.permutation(p)[:n]),
    ),
    ("queries first", draw(split=lambda rows, k: (rows[-k:], rows[:-k]))),
    (
        "two draws",
        draw(split=lambda rows, k: (rows[:k], np.setdiff1d(rows, rows[:k]))),
    ),
]


@rows(RIGHT)
def test_right(words, answer):
    assert_right(checks.sample_episode, answer)


def overlapping(images, labels, n_way, k_shot, n_query, rng):
    chosen = classes_of(labels, n_way, rng)
    pools = [np.flatnonzero(labels == c) for c in chosen]
    support = np.concatenate([rows_of(pool, k_shot, rng) for pool in pools])
    query = np.concatenate([rows_of(pool, n_query, rng) for pool in pools])
    names = np.arange(n_way)
    return images[support], np.repeat(names, k_shot), images[query], np.repeat(names, n_query)


def with_generator(make):
    return lambda images, labels, n_way, k, q, rng: right(images, labels, n_way, k, q, make(rng))


def same_permutation_for_all(images, labels, n_way, k_shot, n_query, rng):
    places = rng.permutation(6)
    return draw(image_rows=lambda pool, n, _: pool[places[places < len(pool)][:n]])(
        images, labels, n_way, k_shot, n_query, rng
    )


def block(pool, n, rng):
    return np.roll(pool, rng.integers(len(pool)))[:n]


def first_in_support(pool, n, rng):
    return np.concatenate([pool[:2], rng.permutation(pool[2:])[: n - 2]])


def last_in_query(pool, n, rng):
    return np.concatenate([rng.permutation(pool[:-3])[: n - 3], pool[-3:]])


def in_halves(pool, n, rng):
    return np.concatenate([rng.permutation(pool[:3])[:2], rng.permutation(pool[3:])[: n - 2]])


def by_position(images, labels, n_way, k_shot, n_query, rng):
    chosen = rng.choice(len(np.unique(labels)), n_way, replace=False)
    picked = [6 * c + rng.choice(6, k_shot + n_query, replace=False) for c in chosen]
    support, query = (np.concatenate(part) for part in zip(*[cut(rows, k_shot) for rows in picked], strict=True))
    support, query = support % len(images), query % len(images)
    return images[support], np.repeat(np.arange(n_way), k_shot), images[query], np.repeat(np.arange(n_way), n_query)


def shuffles_the_data(images, labels, n_way, k_shot, n_query, rng):
    order = rng.permutation(len(images))
    images[:], labels[:] = images[order], labels[order]
    return right(images, labels, n_way, k_shot, n_query, rng)


def stops(images, labels, n_way, k_shot, n_query, rng):
    raise KeyError("Tagalog")


WRONG = [
    ("classes were drawn with replacement", draw(lambda y, n, rng: rng.choice(np.unique(y), n))),
    ("images were drawn", draw(image_rows=lambda pool, n, rng: rng.choice(pool, n))),
    ("in the support set and in the query set", overlapping),
    ("twice within one set", draw(split=lambda rows, k: (np.repeat(rows[:1], k), rows[k:]))),
    ("the data set's own labels", draw(relabel=False)),
    ("order of the data set", draw(lambda y, n, rng: np.sort(classes_of(y, n, rng)))),
    ("order that never changes", draw(lambda y, n, rng: np.sort(classes_of(y, n, rng))[::-1])),
    ("label of another class", then(lambda sx, sy, qx, qy: (sx, sy, qx, np.roll(qy, 1)))),
    ("share a label", then(lambda sx, sy, qx, qy: (sx, np.roll(sy, 1), qx, qy))),
    ("two different episodes", with_generator(lambda rng: np.random.default_rng())),
    ("every generator gave the same episode", with_generator(lambda rng: np.random.default_rng(3))),
    ("`rng` was copied", with_generator(copy.deepcopy)),
    ("only 5 of the data set's 7 classes", draw(lambda y, n, rng: rng.permutation(np.unique(y)[:n]))),
    ("groups of 5 classes", draw(lambda y, n, rng: rng.permutation(np.roll(np.unique(y), rng.integers(7))[:n]))),
    ("some images are never drawn", draw(image_rows=lambda pool, n, rng: pool[:n])),
    ("some images are never drawn: of", draw(image_rows=lambda pool, n, rng: rng.permutation(pool[:n]))),
    ("some images are never", draw(image_rows=lambda pool, n, rng: rng.permutation(pool[-n:]))),
    ("ever get into its support set", draw(image_rows=first_in_support)),
    ("images ever get into its support set", draw(image_rows=last_in_query)),
    ("get into its support set; the rest serve", draw(image_rows=in_halves)),
    ("all classes take the same rows", same_permutation_for_all),
    ("always neighbours", draw(image_rows=block)),
    ("rows of a class lie together", by_position),
    ("changed the data set itself", shuffles_the_data),
    ("four arrays, not 3", lambda *args: right(*args)[:3]),
    ("four arrays, not one value", lambda *args: 4),
    ("must have shape", lambda i, y, n, k, q, rng: right(i, y, n, k, q - 1, rng)),
    ("with 2 images each", lambda *args: [part[None] for part in right(*args)]),
    ("every label from 0 to 4", then(lambda sx, sy, qx, qy: (sx, sy + 1, qx, qy + 1))),
    ("an image that is not in the data set", on_images(lambda x: x * 0)),
    ("holds an image that is not", on_images(lambda x: x + np.random.default_rng(0).normal(size=x.shape) * 30)),
    ("labels start at 10", draw(lambda y, n, rng: rng.choice(len(np.unique(y)), n, replace=False))),
    ("stopped with KeyError", stops),
]


@rows(WRONG)
def test_wrong(words, answer):
    assert_wrong(checks.sample_episode, answer, words)


def test_an_episode_is_not_a_function():
    episode = right(np.zeros((42, 2, 1, 1)), np.repeat(np.arange(7), 6), 5, 2, 3, np.random.default_rng(0))
    assert "itself" in checks.sample_episode(episode).message


@pytest.mark.parametrize("seed", range(5))
def test_luck_does_not_refuse_a_right_answer(seed):
    """Other streams of random numbers than those that the check was written with."""
    assert_right(checks.sample_episode, with_generator(lambda rng: np.random.default_rng([seed, rng.integers(2**30)])))
