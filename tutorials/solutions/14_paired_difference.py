# Notebook 14, exercise 2: subtract episode by episode, then equation 1.
def paired_solution(a, b):
    difference = a - b
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    return difference.mean(), half


checks.paired_difference(paired_solution)
mine, library = (
    paired_solution(a, b),
    tfmeta.evaluation.paired_difference(a, b),
)
np.testing.assert_allclose(mine, library[:2], rtol=1e-3)
