# Notebook 01, exercise 1: draw classes, then images within each.
def sample_episode_solution(images, labels, n_way, k_shot, n_query, rng):
    support, query = [], []
    for c in rng.choice(np.unique(labels), n_way, replace=False):
        rows = np.flatnonzero(labels == c)
        rows = rng.choice(rows, k_shot + n_query, replace=False)
        support += list(rows[:k_shot])
        query += list(rows[k_shot:])
    support_y = np.repeat(np.arange(n_way), k_shot)
    query_y = np.repeat(np.arange(n_way), n_query)
    return images[support], support_y, images[query], query_y


checks.sample_episode(sample_episode_solution)
