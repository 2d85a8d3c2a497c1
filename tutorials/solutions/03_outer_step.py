# Notebook 03, exercise 2: MAML's outer step, and the same by tfmeta.MAML.
def outer_step_solution(network, params, episodes, inner_lr, outer_lr):
    n_tasks = len(episodes.support_x)
    with tf.GradientTape() as tape:  # it sees every inner step
        tape.watch(params)
        total = 0.0
        for i in range(n_tasks):
            x, y = episodes.support_x[i], episodes.support_y[i]
            fast_weights = inner_step(network, params, x, y, inner_lr)  # theta'
            outputs = forward(network, fast_weights, episodes.query_x[i])
            total += squared_error(episodes.query_y[i], outputs)
        loss = total / n_tasks
    gradients = tape.gradient(loss, params)  # with respect to theta
    return [w - outer_lr * g for w, g in zip(params, gradients, strict=True)]


checks.outer_step(outer_step_solution)
learner = tfmeta.MAML(tfmeta.networks.mlp(), inner_lr=0.01, inner_steps=1)
theta = [tf.convert_to_tensor(v) for v in learner.network.trainable_variables]
mine = outer_step_solution(learner.network, theta, episodes, 0.01, 1.0)
learner.compile(optimizer=keras.optimizers.SGD(1.0))
learner.fit(tf.data.Dataset.from_tensors(episodes), verbose=0)
for variable, value in zip(
    learner.network.trainable_variables, mine, strict=True
):
    np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-5)
print("one outer step of tfmeta.MAML = one outer step of yours")
