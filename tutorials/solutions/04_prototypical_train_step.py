# Notebook 04, exercise 2: algorithm 1 as a Keras model, and the library's.
class ProtoNetSolution(keras.Model):
    def __init__(self, encoder, n_way):
        super().__init__()
        self.encoder, self.n_way = encoder, n_way
        self.mean_loss = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.mean_loss]  # what fit prints

    def train_step(self, episode):
        with tf.GradientTape() as tape:
            both = tf.concat([episode.support_x, episode.query_x], axis=0)
            embeddings = self.encoder(both, training=True)
            n_support = tf.shape(episode.support_x)[0]
            support, query = embeddings[:n_support], embeddings[n_support:]
            prototypes = compute_prototypes(
                support, episode.support_y, self.n_way
            )
            apart = query[:, None] - prototypes[None]
            logits = -tf.reduce_sum(apart**2, axis=-1)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    episode.query_y, logits
                )
            )
        variables = self.encoder.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


prototypical_train_step_solution = ProtoNetSolution
checks.prototypical_train_step(prototypical_train_step_solution)

# One step on the episode of the figure, by fit, beside the library's.
encoders = [tfmeta.networks.conv4() for _ in range(2)]
encoders[1].set_weights(encoders[0].get_weights())
mine = prototypical_train_step_solution(encoders[0], n_way=5)
library = tfmeta.PrototypicalNetwork(encoders[1])
batch = tfmeta.Episode(*(tensor[None] for tensor in five))  # one task
for model, episode in ((mine, five), (library, batch)):
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    one_batch = tf.data.Dataset.from_tensors(episode)
    model.fit(one_batch, shuffle=False, verbose=0)
for a, b in zip(*(e.trainable_variables for e in encoders), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
print("one step of yours = one step of tfmeta.PrototypicalNetwork")
