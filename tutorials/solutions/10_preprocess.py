# Notebook 10, exercise 2: magnitude and sign, as a constant.
def preprocess_solution(x):
    x = tf.stop_gradient(x)
    size = tf.abs(x)
    large = size >= np.exp(-10.0)
    logarithm = tf.math.log(tf.where(large, size, tf.ones_like(x)))  # of no 0
    magnitude = tf.where(large, logarithm / 10, -tf.ones_like(x))
    sign = tf.where(large, tf.sign(x), x * np.exp(10.0))
    return tf.stack([magnitude, sign], axis=-1)


checks.preprocess(preprocess_solution)
numbers = tf.constant(np.geomspace(1e-9, 10.0, 50), tf.float32)
for signed in (numbers, -numbers):
    np.testing.assert_allclose(
        preprocess_solution(signed), library.preprocess(signed), rtol=1e-5
    )
