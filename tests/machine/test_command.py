"""The command imports TensorFlow when there is work to do; every other program has everything after `import tfmeta`."""

import pytest

import tfmeta
from tests.helpers import run_python
from tfmeta.machine import command

HEAVY = ("tensorflow", "keras", "numpy", "PIL", "matplotlib")
# The command in a process that says at its end which of the slow packages it has imported.
RUN = f"""
import atexit, sys
sys.argv = sys.argv[1:]
from tfmeta.app.cli import main
atexit.register(lambda: print("IMPORTED", [name for name in {HEAVY} if name in sys.modules]))
main()
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"], ["--version"], ["train", "--help"], ["evaluate", "--help"], ["predict", "--help"], ["trian"],
        ["train", "--shots", "3"], ["train", "--method", "mmal"], ["train", "--preset", "maml-quikstart"],
        ["train", "--set", "colour=red"], ["train", "--dataset", "omniglott"], ["train", "--resume", "nowhere"],
        ["quickstart", "--dataset", "glyps"], ["evaluate", "maml-quikstart"], ["plot", "maml-quickstart"],
        ["presets", "maml-quickstart"], ["evaluate", "maml-quickstart", "--split", "tset"],
        ["predict", "maml-quickstart", "--support", "nowhere", "--images", "nowhere"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_help_and_mistakes_are_answered_without_tensorflow(words):
    done = run_python(RUN, "/usr/bin/tfmeta", *words)
    assert done.stdout.splitlines()[-1] == "IMPORTED []", done.stderr
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_names_are_there_when_they_are_used_and_keras_knows_the_classes():
    script = """
import sys
sys.argv = sys.argv[1:]
import tfmeta
assert "tensorflow" not in sys.modules
assert tfmeta.MAML.__name__ == "MAML"
import keras
assert keras.saving.get_registered_object("tfmeta>Reptile") is tfmeta.Reptile
assert sorted(name for name in tfmeta.__all__ if not hasattr(tfmeta, name)) == []
try:
    tfmeta.MAMLL
except AttributeError as error:
    print(error)
"""
    done = run_python(script, "tfmeta")
    assert (done.returncode, done.stdout) == (0, "module 'tfmeta' has no attribute 'MAMLL'\n"), done.stderr


@pytest.mark.slow
def test_python_m_tfmeta_is_the_command_and_loads_a_model_when_it_works():
    words = ["evaluate", "maml-quickstart", "--dataset", "glyphs", "--episodes", "2"]
    script = (
        "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-m', 'tfmeta', *sys.argv[1:]]).returncode)"
    )
    done = run_python(script, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("accuracy ")
    assert "glyphs test, MAML" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "started", "expected"),
    [
        (["/usr/bin/tfmeta", "train"], ["python", "/usr/bin/tfmeta", "train"], True),
        (["tfmeta.exe"], ["tfmeta.exe"], True),
        (["-m", "--help"], ["python", "-X", "importtime", "-m", "tfmeta", "--help"], True),
        (["-m"], ["python", "-m", "tfmeta.app.cli"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["train.py", "-m", "tfmeta"], ["python", "train.py", "-m", "tfmeta"], False),
        (["/opt/tfmeta/train.py"], ["python", "/opt/tfmeta/train.py"], False),
        (["mytfmeta"], ["mytfmeta"], False),
        (["-c"], ["python", "-c", "import tfmeta"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)  # fmt: skip
def test_which_program_is_the_command(arguments, started, expected):
    assert command.is_command(arguments, started) is expected


def test_in_another_program_nothing_waits():
    assert not command.waits()
    command.begin_work()  # does nothing
    with pytest.raises(AttributeError, match="module 'tfmeta' has no attribute 'MAMLL'"):
        tfmeta.MAMLL  # noqa: B018
