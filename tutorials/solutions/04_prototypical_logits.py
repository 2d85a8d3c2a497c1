# Notebook 04, exercise 1: minus the squared distance to each prototype.
def prototypical_logits_solution(support, labels, query, n_way):
    prototypes = compute_prototypes(support, labels, n_way)  # c_k
    apart = query[:, None] - prototypes[None]  # [n_query, n_way, dim]
    return -tf.reduce_sum(apart**2, axis=-1)


checks.prototypical_logits(prototypical_logits_solution)
np.testing.assert_allclose(
    prototypical_logits_solution(support, support_y, query, 3),
    tfmeta.prototypical_logits(support, support_y, query, 3),
    rtol=1e-4, atol=1e-4,
)  # fmt: skip
