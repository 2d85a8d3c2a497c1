"""The quiz: every wrong choice has an answer of its own, and nothing that a reader writes breaks it."""

import pytest

from tfmeta import checks
from tfmeta.checks.quiz import _FOLDER, questions

NUMBERS = sorted(entry.name[:-5] for entry in _FOLDER.iterdir() if entry.name.endswith(".json"))


@pytest.mark.parametrize("number", NUMBERS)
def test_six_questions_with_an_answer_for_every_choice(number):
    asked = questions(number)
    assert len(asked) == 6
    for one in asked:
        assert set(one) == {"question", "right", "choices"}
        assert one["question"].endswith(("?", ":", "."))
        assert one["right"] in one["choices"]
        assert list(one["choices"]) == list("abcd")[: len(one["choices"])]
        assert 3 <= len(one["choices"]) <= 4
        for choice in one["choices"].values():
            assert set(choice) == {"text", "answer"}
            assert len(choice["answer"].split()) >= 6
        answers = [choice["answer"] for choice in one["choices"].values()]
        assert len(set(answers)) == len(answers)
        # The longest choice must not be the right one throughout.
    assert len({one["right"] for one in asked}) >= 2
    longest = [
        max(one["choices"], key=lambda c, one=one: len(one["choices"][c]["text"])) == one["right"] for one in asked
    ]
    assert sum(longest) <= 4


@pytest.mark.parametrize("number", NUMBERS)
def test_right_answers_pass_and_wrong_ones_are_answered(number, capsys):
    asked = questions(number)
    rights = [one["right"] for one in asked]
    assert checks.quiz(number, rights).passed
    assert checks.quiz(number, "".join(rights).upper()).passed
    capsys.readouterr()
    wrongs = [next(letter for letter in one["choices"] if letter != one["right"]) for one in asked]
    result = checks.quiz(number, wrongs)
    assert result.status == "not right yet"
    assert result.message == "0 of 6 right"
    printed = " ".join(capsys.readouterr().out.split())
    for one, letter in zip(asked, wrongs, strict=True):
        assert " ".join(one["choices"][letter]["answer"].split()) in printed


def test_unanswered_questions_are_printed_with_their_choices(capsys):
    right = questions(NUMBERS[0])[0]["right"]
    result = checks.quiz(NUMBERS[0], [right, ..., ..., ..., ..., ...])
    printed = " ".join(capsys.readouterr().out.split())
    assert result.status == "not right yet"
    for one in questions(NUMBERS[0])[1:]:
        assert " ".join(one["question"].split()) in printed
        for choice in one["choices"].values():
            assert " ".join(choice["text"].split()) in printed


@pytest.mark.parametrize("answers", [..., None, [], [...] * 6, "", 7, {}])
def test_no_answers_is_no_fault(answers):
    assert checks.quiz(NUMBERS[0], answers).status == "not filled in yet"


@pytest.mark.parametrize("answers", [["z"] * 6, [3, 4.0, [], {}, "ab", object], "zzzzzzzzz"])
def test_nonsense_is_answered_in_words(answers, capsys):
    assert checks.quiz(NUMBERS[0], answers).status == "not right yet"
    assert "choose one of a, b" in capsys.readouterr().out


def test_an_unknown_notebook_is_refused():
    with pytest.raises(ValueError, match=r"notebook must be one of .*Received: notebook='99'"):
        checks.quiz("99")
