# Notebook 08, exercise 2: the head takes a step, the body stays on the tape.
def masked_solution(params, gradients, inner_lr, adapts):
    return [
        w - inner_lr * g if on else w
        for w, g, on in zip(params, gradients, adapts, strict=True)
    ]


checks.masked_update(masked_solution)
