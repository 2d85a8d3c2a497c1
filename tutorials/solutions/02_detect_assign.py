# Notebook 02, exercise 2: theta' as tensors, through stateless_call.
def detect_assign_solution(network, episode, inner_lr):
    params = [tf.convert_to_tensor(v) for v in network.trainable_variables]
    with tf.GradientTape() as outer:
        outer.watch(params)
        with tf.GradientTape() as inner:
            inner.watch(params)
            outputs = forward(network, params, episode.support_x)
            value = squared_error(episode.support_y, outputs)
        gradients = inner.gradient(value, params)
        pairs = zip(params, gradients, strict=True)
        fast_weights = [w - inner_lr * g for w, g in pairs]  # theta'
        outputs = forward(network, fast_weights, episode.query_x)
        value = squared_error(episode.query_y, outputs)
    return outer.gradient(value, params)


checks.detect_assign(detect_assign_solution)
