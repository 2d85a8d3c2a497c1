"""A check speaks, and never raises."""

import pytest

from tfmeta import checks

OTHERS = {"Result", "predict", "progress", "quiz"}
ALL = [getattr(checks, name) for name in checks.__all__ if name not in OTHERS]


def returns_nothing(*_):
    pass


def returns_dots(*_):
    return ...


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("stub", [..., None, returns_nothing, returns_dots])
def test_an_unfilled_stub_is_answered_gently(check, stub, capsys):
    result = check(stub)
    assert result.status == "not filled in yet"
    assert not result.passed
    assert capsys.readouterr().out.startswith(f"[ ] {check.__name__}: not filled in yet")


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("nonsense", [lambda *_: 3, lambda *_: "abc", lambda *_: [], lambda: 0, 7, lambda *_: [[], 1]])
def test_nonsense_is_answered_in_words(check, nonsense):
    result = check(nonsense)
    assert result.status == "not right yet"
    assert result.message


def test_a_result_shows_once_in_a_notebook(capsys):
    result = checks.prototypical_logits(...)
    capsys.readouterr()
    assert result._ipython_display_() is None
    assert capsys.readouterr().out == ""
