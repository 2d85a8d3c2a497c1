"""A right answer stays right in whatever form a reader writes it down."""

import functools

import keras
import pytest

from tests.checks import (
    test_adaptation,
    test_attention,
    test_batch_norm,
    test_gradients,
    test_heads,
    test_learned_updates,
    test_outer_steps,
    test_prototypes,
    test_repairs,
    test_train_steps,
    test_updates,
)  # fmt: skip
from tfmeta import checks

# Checks of functions, each with the first right answer of its table.
RIGHT = {
    "adapt": test_adaptation.RIGHT[0][1],
    "cell_update": test_learned_updates.RIGHT_CELL[0][1],
    "cosine_attention": test_attention.RIGHT[0][1],
    "detect_assign": test_gradients.RIGHT[0][1],
    "masked_update": test_updates.RIGHT_MASK[0][1],
    "meta_sgd_update": test_updates.RIGHT_META_SGD[0][1],
    "one_query_evaluation": test_batch_norm.RIGHT[0][1],
    "outer_step": test_outer_steps.RIGHT[0][1],
    "preprocess": test_learned_updates.RIGHT_PREPROCESS[0][1],
    "prototypical_head": test_heads.RIGHT[0][1],
    "prototypical_logits": test_prototypes.RIGHT[0][1],
    "quadratic_meta_gradient": test_gradients.RIGHT_QUADRATIC[0][1],
    "repaired_step": test_repairs.RIGHT[0][1],
}


def decorated(answer):
    @functools.wraps(answer)
    def wrapper(*args):
        return answer(*args)

    return wrapper


class Answer:
    """As an object that can be called, as a method, as a static one."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, *args):
        return self.answer(*args)

    def method(self, *args):
        return self.answer(*args)


def with_a_default(answer):
    def named(*args, note="an argument of one's own that has a default"):
        assert note
        return answer(*args)

    return named


FORMS = {
    "decorated": decorated,
    "an object": Answer,
    "a method": lambda answer: Answer(answer).method,
    "a partial": lambda answer: functools.partial(lambda unused, *args: answer(*args), "first"),
    "a default more": with_a_default,
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", RIGHT)
def test_the_form_does_not_matter(name, form, capsys):
    result = getattr(checks, name)(FORMS[form](RIGHT[name]))
    assert result.passed, result.message
    assert capsys.readouterr().out.startswith(f"[ok] {name}: right")


# ---- a class ---------------------------------------------------------------------------------------------------------
PLAIN = test_train_steps.RIGHT[1][1]


class Subclass(PLAIN):
    """Nothing of its own."""


class WithADefault(PLAIN):
    """A constructor's argument more."""

    def __init__(self, encoder, n_way, note="a default"):
        super().__init__(encoder, n_way)
        self.note = note


class Mixin:
    """Something beside it."""


class Mixed(Mixin, PLAIN):
    """Two parents."""


@keras.saving.register_keras_serializable("tests")
class Registered(PLAIN):
    """Known to Keras by name."""


@pytest.mark.slow
@pytest.mark.parametrize("answer", [Subclass, WithADefault, Mixed, Registered], ids=lambda answer: answer.__name__)
def test_the_form_of_a_class_does_not_matter(answer):
    result = checks.prototypical_train_step(answer)
    assert result.passed, result.message
