# Notebook 11, exercise 3: the divergence of two Gaussians.
def gaussian_kl_solution(mean_q, log_variance_q, mean_p, log_variance_p):
    ratio = tf.exp(log_variance_q - log_variance_p)
    distance = (mean_q - mean_p) ** 2 / tf.exp(log_variance_p)
    each = log_variance_p - log_variance_q + ratio + distance - 1.0
    return 0.5 * tf.reduce_sum(each)


checks.gaussian_kl(gaussian_kl_solution)
