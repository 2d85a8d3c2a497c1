import os
import subprocess

import pytest

from tests.helpers import COMMAND, ROOT, environment, run_python
from tfmeta.machine import quiet_start

# A stand-in for TensorFlow that writes to the screen as its C++ does, past `sys.stderr`.
NOISY = """
import os
os.write(2, b"I0000 a note from C++\\n")
seen = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
if os.environ.get("FAILS"):
    raise ImportError("libcuda is too old")
"""

CALL = """
import os, sys, types
sys.modules["tfmeta"] = package = types.ModuleType("tfmeta")  # the package's own import of TensorFlow is not wanted
package.__path__ = ["tfmeta"]
from tfmeta.machine.quiet_start import import_tensorflow
import_tensorflow(sys.argv[1])
os.write(2, b"later\\n")
print("tensorflow" in sys.modules, os.environ.get("TF_CPP_MIN_LOG_LEVEL"))
"""


@pytest.fixture
def noisy(tmp_path):
    (tmp_path / "tensorflow.py").write_text(NOISY)
    return str(tmp_path)


@pytest.mark.parametrize(
    "program", ["/usr/bin/tfmeta", "tfmeta.exe", "/env/site-packages/ipykernel_launcher.py", "colab_kernel_launcher.py"]
)
def test_the_command_and_notebooks_import_tensorflow_without_its_notes_and_gives_the_screen_back(noisy, program):
    done = run_python(CALL, program, PYTHONPATH=noisy)
    assert (done.returncode, done.stderr, done.stdout) == (0, "later\n", "True 3\n")


@pytest.mark.parametrize("program", ["train.py", "-c", "", "/opt/tfmeta/train.py", "pytest", "mytfmeta"])
def test_other_programs_are_left_alone(noisy, program):
    done = run_python(CALL, program, PYTHONPATH=noisy)
    assert (done.returncode, done.stderr, done.stdout) == (0, "later\n", "False None\n")


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_somebody_who_asks_for_notes_gets_them(noisy, level):
    done = run_python(CALL, "tfmeta", PYTHONPATH=noisy, TF_CPP_MIN_LOG_LEVEL=level)
    assert (done.stderr, done.stdout) == ("later\n", f"False {level}\n")


def test_an_import_that_fails_shows_everything_that_was_written(noisy):
    done = run_python(CALL, "tfmeta", PYTHONPATH=noisy, FAILS="1")
    assert done.returncode == 1
    assert done.stderr.startswith("I0000 a note from C++\n")
    assert done.stderr.rstrip().endswith("ImportError: libcuda is too old")


@pytest.mark.slow
def test_the_installed_command_writes_nothing_to_standard_error(tmp_path):
    done = subprocess.run(
        [COMMAND, "doctor", "--data-dir", tmp_path], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert "TensorFlow 2." in done.stdout
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert done.returncode == bool(wrong)


@pytest.mark.slow
def test_importing_tfmeta_in_another_program_changes_neither_its_environment_nor_its_screen():
    """`tests/test_threads.py` looks at threads; this at what TensorFlow's notes are governed by."""
    script = (
        "import os, sys; before = dict(os.environ), os.fstat(2).st_ino; import tfmeta; "
        "print('TF_CPP_MIN_LOG_LEVEL' in os.environ, (dict(os.environ), os.fstat(2).st_ino) == before)"
    )
    done = run_python(script)
    assert (done.returncode, done.stdout) == (0, "False True\n")


def test_nothing_is_done_in_this_process(monkeypatch):
    monkeypatch.setattr(os, "dup", lambda _: pytest.fail("the screen was touched"))
    quiet_start.import_tensorflow("pytest")
