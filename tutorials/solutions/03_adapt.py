# Notebook 03, exercise 1: the inner loop.
def adapt_solution(network, params, episode, inner_lr, inner_steps):
    fast_weights = params
    for _ in range(inner_steps):
        fast_weights = inner_step(
            network,
            fast_weights,
            episode.support_x,
            episode.support_y,
            inner_lr,
        )
    return fast_weights


checks.adapt(adapt_solution)
start = [tf.convert_to_tensor(v) for v in maml.network.trainable_variables]
ten = adapt_solution(maml.network, start, one, 0.01, 10)
loss = squared_error(one.query_y, forward(maml.network, ten, one.query_x))
print(f"ten steps on task 0: query loss {loss:.3f}")
np.testing.assert_allclose(
    forward(maml.network, ten, x),
    path(maml.network, one, 0.01, [10])[0], rtol=1e-3, atol=1e-3,
)  # fmt: skip
