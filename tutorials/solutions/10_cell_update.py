# Notebook 10, exercise 1: with the gates of the page, this is the library's step.
def cell_update_solution(theta, gradient, forget, gain):
    keep, let_in = tf.sigmoid(forget), tf.sigmoid(gain)
    return keep * theta - let_in * gradient


checks.cell_update(cell_update_solution)
memory = library.first_state(n=3, units=UNITS)
*_, forget_, gain_ = gates(theta, g, loss, memory, rule)
np.testing.assert_allclose(
    cell_update_solution(theta, g, forget_, gain_),
    library.lstm_step(theta, g, loss, memory, rule)[0],
    rtol=1e-5,
)
