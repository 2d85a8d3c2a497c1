"""How a table of right and wrong answers is tried: each row has words that the check must say, which also name it."""

import pytest


def rows(table):
    """Rows (words, answer) as parameters, named by their words."""
    return pytest.mark.parametrize(
        ("words", "answer"), table, ids=[words.replace("[", "").replace("]", "") for words, _ in table]
    )


def assert_right(check, answer, words=""):
    result = check(answer)
    assert result.passed, result.message
    assert result
    if words.startswith("("):  # praise of a kind of right answer
        assert words[1:] in result.message


def assert_wrong(check, answer, words):
    result = check(answer)
    assert result.status == "not right yet", result.message
    assert not result
    assert words in result.message, result.message
