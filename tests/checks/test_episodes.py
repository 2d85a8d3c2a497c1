"""The check of `sample_episode` accepts the right answer and names what is wrong with the others."""

import numpy as np
import pytest

from tfmeta import checks


def draw(classes, image_rows, relabel=np.arange, order=None):
    """An answer built from its two draws: `classes(labels, n_way, rng)` and `image_rows(pool, n, rng)`."""

    def answer(images, labels, n_way, k_shot, n_query, rng):
        support, query = [], []
        chosen = classes(labels, n_way, rng)
        for c in chosen:
            rows = image_rows(np.flatnonzero(labels == c), k_shot + n_query, rng)
            support.append(rows[:k_shot])
            query.append(rows[k_shot:])
        support, query = np.concatenate(support), np.concatenate(query)
        names = relabel(n_way) if relabel is np.arange else chosen
        return images[support], np.repeat(names, k_shot), images[query], np.repeat(names, n_query)

    return answer


def distinct_classes(labels, n_way, rng):
    return rng.choice(np.unique(labels), n_way, replace=False)


def distinct_images(pool, n, rng):
    return rng.choice(pool, n, replace=False)


def right(images, labels, n_way, k_shot, n_query, rng):
    return draw(distinct_classes, distinct_images)(images, labels, n_way, k_shot, n_query, rng)


def test_right_answer_passes(capsys):
    result = checks.sample_episode(right)
    assert result.passed
    assert capsys.readouterr().out.startswith("[ok] sample_episode: right")


def overlapping(images, labels, n_way, k_shot, n_query, rng):
    chosen = distinct_classes(labels, n_way, rng)
    pools = [np.flatnonzero(labels == c) for c in chosen]
    support = np.concatenate([distinct_images(pool, k_shot, rng) for pool in pools])
    query = np.concatenate([distinct_images(pool, n_query, rng) for pool in pools])
    names = np.arange(n_way)
    return images[support], np.repeat(names, k_shot), images[query], np.repeat(names, n_query)


def repeated_within_support(images, labels, n_way, k_shot, n_query, rng):
    chosen = distinct_classes(labels, n_way, rng)
    support, query = [], []
    for c in chosen:
        rows = distinct_images(np.flatnonzero(labels == c), 1 + n_query, rng)
        support += [rows[0]] * k_shot
        query += list(rows[1:])
    names = np.arange(n_way)
    return images[support], np.repeat(names, k_shot), images[query], np.repeat(names, n_query)


def mislabelled_queries(images, labels, n_way, k_shot, n_query, rng):
    support_x, support_y, query_x, query_y = right(images, labels, n_way, k_shot, n_query, rng)
    return support_x, support_y, query_x, rng.permutation(query_y)


def global_generator(images, labels, n_way, k_shot, n_query, rng):
    return right(images, labels, n_way, k_shot, n_query, np.random.default_rng())


def always_the_same(images, labels, n_way, k_shot, n_query, rng):
    return right(images, labels, n_way, k_shot, n_query, np.random.default_rng(3))


def three_parts(images, labels, n_way, k_shot, n_query, rng):
    return right(images, labels, n_way, k_shot, n_query, rng)[:3]


def too_few_queries(images, labels, n_way, k_shot, n_query, rng):
    return right(images, labels, n_way, k_shot, n_query - 1, rng)


def stops(images, labels, n_way, k_shot, n_query, rng):
    raise KeyError("Tagalog")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (draw(lambda y, n, rng: rng.choice(np.unique(y), n), distinct_images), "classes were drawn with replacement"),
        (draw(distinct_classes, lambda pool, n, rng: rng.choice(pool, n)), "images were drawn"),
        (overlapping, "in the support set and in the query set"),
        (repeated_within_support, "twice within one set"),
        (draw(distinct_classes, distinct_images, relabel=None), "the data set's own labels"),
        (
            draw(lambda y, n, rng: np.sort(rng.choice(np.unique(y), n, replace=False)), distinct_images),
            "order of the data set",
        ),
        (mislabelled_queries, "label of another class"),
        (global_generator, "two different episodes"),
        (always_the_same, "every generator gave the same episode"),
        (three_parts, "four arrays"),
        (too_few_queries, "must have shape"),
        (stops, "stopped with KeyError"),
        (right(np.zeros((42, 2, 1, 1)), np.repeat(np.arange(7), 6), 5, 2, 3, np.random.default_rng(0)), "itself"),
    ],
)
def test_wrong_answers_are_told_what_is_wrong(answer, words):
    result = checks.sample_episode(answer)
    assert result.status == "not right yet"
    assert words in result.message
