"""How well one can explore: rules that count, indices, exact optima, and posterior sampling, to judge an agent by."""
