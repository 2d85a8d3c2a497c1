"""Seeded NumPy weights and one seeded meta-batch: what every implementation starts from.

Weights are named and ordered as Keras orders a conv4's trainable weights, kernels in Keras' layout
(height, width, in, out). Peers that need another layout transpose in their own file.
"""

import numpy as np

from benchmarks.cases import IMAGE_SHAPE

N_BLOCKS = 4


def embedding_size(case):
    """Number of features after the last block: flattened for ProtoNet, averaged over space for MAML."""
    if case.kind == "maml":
        return case.filters
    side = IMAGE_SHAPE[0]
    for _ in range(N_BLOCKS):
        side = -(-side // 2) if case.downsample == "stride" else side // 2
    return side * side * case.filters


def make_weights(case, seed=0, dtype=np.float32):
    """Initial weights of conv4.

    Batch norm's scale and offset are not left at one and zero: a peer that forgot them would then go unnoticed.

    Args:
        case: the case.
        seed: of the generator.
        dtype: of the arrays.

    Returns:
        Name -> array, in the order of Keras' trainable weights.
    """
    rng = np.random.default_rng(seed)
    weights = {}
    channels = IMAGE_SHAPE[-1]
    for block in range(N_BLOCKS):
        limit = np.sqrt(6 / (9 * channels + 9 * case.filters))  # Glorot and Bengio's uniform rule
        weights[f"conv{block}/kernel"] = rng.uniform(-limit, limit, (3, 3, channels, case.filters))
        if case.conv_bias:
            weights[f"conv{block}/bias"] = np.zeros(case.filters)
        weights[f"norm{block}/gamma"] = 1 + 0.1 * rng.standard_normal(case.filters)
        weights[f"norm{block}/beta"] = 0.1 * rng.standard_normal(case.filters)
        channels = case.filters
    if case.kind == "maml":
        limit = np.sqrt(6 / (channels + case.n_way))
        weights["head/kernel"] = rng.uniform(-limit, limit, (channels, case.n_way))
        weights["head/bias"] = np.zeros(case.n_way)
    return {name: np.asarray(value, dtype) for name, value in weights.items()}


def make_batch(case, seed=1, dtype=np.float32):
    """One meta-batch: each class is a random picture, its examples are that picture plus noise.

    Args:
        case: the case.
        seed: of the generator.
        dtype: of the images.

    Returns:
        `support_x` [tasks, n_way * k_shot, 28, 28, 1], `support_y` [tasks, n_way * k_shot] int32, and
        `query_x`, `query_y` likewise with n_query, classes in order, as a dict.
    """
    rng = np.random.default_rng(seed)
    per_class = case.k_shot + case.n_query
    pictures = rng.uniform(size=(case.tasks, case.n_way, 1, *IMAGE_SHAPE))
    noise = rng.uniform(size=(case.tasks, case.n_way, per_class, *IMAGE_SHAPE))
    images = (0.5 * pictures + 0.5 * noise).astype(dtype)

    def flat(part):
        return np.ascontiguousarray(part.reshape(case.tasks, -1, *IMAGE_SHAPE))

    def labels(count):
        return np.tile(np.repeat(np.arange(case.n_way, dtype=np.int32), count), (case.tasks, 1))

    return {
        "support_x": flat(images[:, :, : case.k_shot]),
        "support_y": labels(case.k_shot),
        "query_x": flat(images[:, :, case.k_shot :]),
        "query_y": labels(case.n_query),
    }


def make_arrays(case, dtype=np.float32):
    """Weights and meta-batch of a case.

    Returns:
        {"weights": name -> array, "batch": name -> array}.
    """
    return {"weights": make_weights(case, dtype=dtype), "batch": make_batch(case, dtype=dtype)}
