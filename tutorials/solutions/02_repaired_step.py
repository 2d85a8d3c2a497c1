# Notebook 02, exercise 3: one step of MAML for a body and a head.
def repaired_step_solution(body, head, optimizer, episode, inner_lr):
    n_body = len(body.trainable_variables)
    variables = [*body.trainable_variables, *head.trainable_variables]
    params = [tf.convert_to_tensor(v) for v in variables]  # theta

    def loss(params, x, y):  # of logits, at weights that are given
        state = body.non_trainable_variables, head.non_trainable_variables
        features, _ = body.stateless_call(params[:n_body], state[0], x)
        logits, _ = head.stateless_call(params[n_body:], state[1], features)
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        )

    with tf.GradientTape() as outer:
        outer.watch(params)
        with tf.GradientTape() as inner:
            inner.watch(params)
            support_loss = loss(params, episode.support_x, episode.support_y)
        gradients = inner.gradient(support_loss, params)
        pairs = zip(params, gradients, strict=True)
        fast_weights = [w - inner_lr * g for w, g in pairs]  # theta'
        query_loss = loss(fast_weights, episode.query_x, episode.query_y)
    optimizer.apply(outer.gradient(query_loss, params), variables)
    return query_loss


checks.repaired_step(repaired_step_solution)
body, head = new_parts()
head.activation = keras.activations.linear  # logits
start = body.get_weights()[0]
for _ in range(10):
    repaired_step_solution(body, head, keras.optimizers.SGD(0.0), task, 0.4)
np.testing.assert_array_equal(body.get_weights()[0], start)
print("outer learning rate 0, and after 10 tasks the body has not moved")
