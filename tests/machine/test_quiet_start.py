import os
import subprocess

import pytest

from tests.helpers import COMMAND, ROOT, environment, run_python
from tfmeta.machine import quiet_start

# A stand-in for TensorFlow that writes to the screen as its C++ does, past `sys.stderr`.
NOISY = """
import os, sys
os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
os.write(2, b"I0000 00:00:1.5 18 port.cc:153] oneDNN custom operations are on.\\n")
os.write(2, b"2026-01-31 12:00:00.123: W tensorflow/core.cc:1] older\\n")
os.write(2, b"To enable the following instructions: AVX2, rebuild TensorFlow\\n")
os.write(2, b"from another thread\\n")
print("by sys.stderr", file=sys.stderr)
if os.environ.get("FAILS") == "error":
    raise ImportError("libcuda is too old")
if os.environ.get("FAILS") == "crash":
    os.abort()
"""

CALL = """
import os, sys, types
sys.modules["tfmeta"] = package = types.ModuleType("tfmeta")  # the package's own import of TensorFlow is not wanted
package.__path__ = ["tfmeta"]
from tfmeta.machine.quiet_start import import_tensorflow
if "first" in sys.argv:
    import tensorflow
import_tensorflow()
os.write(2, b"later\\n")
print("tensorflow" in sys.modules, os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""
OTHERS = "from another thread\nby sys.stderr\n"


@pytest.fixture
def noisy(tmp_path):
    (tmp_path / "tensorflow.py").write_text(NOISY)
    return str(tmp_path)


@pytest.mark.parametrize("level", [None, "3"])
def test_notes_are_left_out_and_the_lines_of_others_are_not(noisy, level):
    done = run_python(CALL, PYTHONPATH=noisy, TF_CPP_MIN_LOG_LEVEL=level)
    assert (done.returncode, done.stderr, done.stdout) == (0, f"{OTHERS}later\n", "True 3\n")


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_somebody_who_asks_for_notes_gets_them(noisy, level):
    done = run_python(CALL, PYTHONPATH=noisy, TF_CPP_MIN_LOG_LEVEL=level)
    assert (done.stderr, done.stdout) == ("later\n", f"False {level}\n")


def test_where_tensorflow_is_imported_already_nothing_is_changed(noisy):
    done = run_python(CALL, "first", PYTHONPATH=noisy)
    assert "oneDNN" in done.stderr
    assert done.stdout == "True None\n"


def test_an_import_that_fails_shows_everything_that_was_written(noisy):
    done = run_python(CALL, PYTHONPATH=noisy, FAILS="error")
    assert done.returncode == 1
    assert done.stderr.startswith("WARNING: All log messages")
    for line in ("oneDNN", "older", "AVX2", *OTHERS.splitlines()):
        assert line in done.stderr
    assert done.stderr.rstrip().endswith("ImportError: libcuda is too old")


def test_a_process_that_dies_of_the_import_says_where_it_was(noisy):
    done = run_python(CALL, PYTHONPATH=noisy, FAILS="crash")
    assert done.returncode < 0
    assert "Fatal Python error: Aborted" in done.stderr
    assert "tensorflow.py" in done.stderr


def test_without_a_standard_error_nothing_is_put_aside(noisy):
    lines = [line for line in CALL.splitlines() if "later" not in line]
    done = run_python("\n".join(["import os; os.close(2)", *lines]), PYTHONPATH=noisy)
    assert (done.returncode, done.stdout) == (0, "False 3\n")


@pytest.mark.slow
def test_a_script_shows_nothing_at_the_import_nor_at_the_first_operation():
    script = (
        "import tfmeta, tensorflow as tf; print(float(tf.constant(1.0) + 1)); import sys; sys.stderr.write('mine\\n')"
    )
    done = run_python(script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2.0\n", "mine\n")


@pytest.mark.slow
def test_the_installed_command_writes_nothing_to_standard_error(tmp_path):
    done = subprocess.run(
        [COMMAND, "doctor", "--data-dir", tmp_path], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert "TensorFlow 2." in done.stdout
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert done.returncode == bool(wrong)


def test_nothing_is_done_in_this_process(monkeypatch):
    monkeypatch.setattr(os, "dup", lambda _: pytest.fail("the screen was touched"))
    quiet_start.import_tensorflow()  # TensorFlow has been imported
