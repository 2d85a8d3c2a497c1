"""The README's ten lines grade a file of answers, and its check of one's own checks."""

import re

import pytest

from tests.helpers import ROOT, run_python

PIECES = re.findall(r"```python\n(.*?)```", (ROOT / "tutorials/README.md").read_text(encoding="utf-8"), re.DOTALL)
HOMEWORK = """
import sys
import tfmeta

def prototypical_logits(support, labels, query, n_way):
    return tfmeta.prototypical_logits(support, labels, query, n_way)

def reptile_update(params, fast_weights, outer_lr):
    sys.exit("done")
"""


@pytest.mark.slow
def test_the_file_that_grades(tmp_path):
    (grade,) = (piece for piece in PIECES if "homework" in piece)
    assert len([line for line in grade.splitlines() if line.strip()]) <= 10
    (tmp_path / "homework.py").write_text(HOMEWORK, encoding="utf-8")
    done = run_python(grade, str(tmp_path / "homework.py"))
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["adapt", "0"],
        ["prototypical_logits", "1"],
        ["reptile_update", "0"],
    ]
    assert "returns nothing" in lines[0]
    assert "ended the program" in lines[2]


def test_a_check_of_one_s_own(capsys):
    (own,) = (piece for piece in PIECES if "judge(" in piece)
    names = {}
    exec(own, names)
    assert names["double"](lambda x: 2 * x)
    assert not names["double"](lambda x: x)
    assert "[x] double: not right yet: the double of 2 is 4." in capsys.readouterr().out
