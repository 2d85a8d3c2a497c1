# Notebook 02, exercise 1: the meta-gradient of a quadratic loss.
def quadratic_meta_gradient_solution(theta, A, b, inner_lr):
    adapted = theta - inner_lr * (A @ theta - b)  # theta', Finn 1
    factor = np.eye(len(theta)) - inner_lr * A  # d theta' / d theta
    return factor @ (A @ adapted - b)  # equation 1


checks.quadratic_meta_gradient(quadratic_meta_gradient_solution)
