# Notebook 08, exercise 1: a rate for every weight.
def meta_sgd_solution(params, gradients, rates):
    return [w - a * g for w, g, a in zip(params, gradients, rates, strict=True)]


checks.meta_sgd_update(meta_sgd_solution)
by_hand = meta_sgd_solution(theta, loss_gradient(start, theta, *support), rates)
by_library = tfmeta.functional.adapt(
    start, theta, *support, inner_lr=rates, inner_steps=1
)
for mine_, library_ in zip(by_hand, by_library, strict=True):
    np.testing.assert_allclose(mine_, library_, rtol=1e-4, atol=1e-5)
