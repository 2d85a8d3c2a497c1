"""`make` takes a Python that works, says what it found where there is none, and leaves what is there alone.

The Pythons are scripts on a path of their own: they call the Python of the tests and claim another version. Nothing is
installed.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("sh", "cat", "cksum", "cut", "rm", "touch", "mkdir", "cp", "make")
# `-m venv` copies the script into the new environment; every other module is written down.
SCRIPT = """#!{sh}
case "$1" in
  --version) echo "Python {version}" ;;
  -c) shift; exec {real} -S -c "import sys
code = sys.argv.pop(1)
sys.version_info = ({numbers}, 0, 'final', 0)
if {bare}: sys.modules['ensurepip'] = None
exec(code) if 'tensorflow' not in code else None" "$@" ;;
  -m) echo "{version} $*" >> "{log}"
      case "$2" in
        venv) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
        pip) test "$3" != --version || test ! -e "{log}.no-pip" ;;
      esac ;;
esac
"""


class Machine:
    """A checkout with the Makefile alone, and a path with these Pythons alone."""

    def __init__(self, folder):
        self.checkout, self.path, self.log = folder / "checkout", folder / "bin", folder / "calls"
        for made in (self.checkout, self.path):
            made.mkdir()
        for name in ("Makefile", "pyproject.toml", "requirements.txt"):
            shutil.copy(ROOT / name, self.checkout)
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool))

    def python(self, name, version, bare=False, folder=None):
        path = (folder or self.path) / name
        numbers = ", ".join(version.split(".")[:2])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            SCRIPT.format(
                sh=shutil.which("sh"), version=version, real=sys.executable, numbers=numbers, bare=bare, log=self.log
            )
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def make(self, *arguments):
        environment = {"PATH": str(self.path), "HOME": str(self.checkout)}
        done = subprocess.run(
            [self.path / "make", *arguments], cwd=self.checkout, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout

    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"python3.11": "3.11.7"}, "3.11.7"),
        ({"python3.12": "3.12.1"}, "3.12.1"),
        ({"python3.13": "3.13.0"}, "3.13.0"),
        ({"python3.13": "3.13.0", "python3.12": "3.12.1"}, "3.12.1"),
        ({"python3": "3.12.9"}, "3.12.9"),
        ({"python": "3.13.2"}, "3.13.2"),
        ({"python3": "3.14.0", "python3.13": "3.13.0"}, "3.13.0"),
        ({"python3": "3.10.1", "python": "3.11.1"}, "3.11.1"),
    ],
)
def test_a_python_that_fits_is_taken(machine, there, taken):
    for name, version in there.items():
        machine.python(name, version)
    assert machine.make("setup")[0] == 0
    assert machine.calls()[0] == f"{taken} -m venv .venv"
    assert machine.calls()[-1].startswith(f"{taken} -m pip install ")
    before = machine.calls()
    assert machine.make("setup")[0] == 0
    assert machine.calls() == before, "the second call installs nothing"


def test_a_name_that_does_not_start_is_passed_over(machine):
    broken = machine.python("python3.11", "3.11.7")
    broken.write_text(f"#!{shutil.which('sh')}\necho 'pyenv: python3.11: command not found' >&2\nexit 127\n")
    machine.python("python3.12", "3.12.1")
    assert machine.make("setup")[0] == 0
    assert machine.calls()[0] == "3.12.1 -m venv .venv"


def test_one_that_makes_no_environments_is_passed_over(machine):
    machine.python("python3.11", "3.11.2", bare=True)
    machine.python("python3.13", "3.13.0")
    assert machine.make("setup")[0] == 0
    assert machine.calls()[0] == "3.13.0 -m venv .venv"


@pytest.mark.parametrize(
    ("there", "bare", "said"),
    [
        ({"python3": "3.14.0"}, False, ["python3: Python 3.14.0\n"]),
        ({"python3.10": "3.10.4", "python3": "3.10.4"}, False, ["python3.10: Python 3.10.4", "python3: Python 3.10.4"]),
        ({"python3.11": "3.11.2"}, True, ["python3.11: Python 3.11.2, without venv (sudo apt install python3-venv)"]),
        ({}, False, ["  nothing\n"]),
    ],
)
def test_where_none_fits_it_says_what_was_found(machine, there, bare, said):
    for name, version in there.items():
        machine.python(name, version, bare)
    status, text = machine.make("setup")
    assert status != 0
    assert text.startswith("tfmeta needs Python 3.11, 3.12 or 3.13. Found:\n")
    assert all(line in text for line in said)
    assert "make PYTHON=/path/to/python3.12" in text
    assert machine.calls() == []
    assert not (machine.checkout / ".venv").exists()


def test_a_named_python_is_taken_or_refused(machine, tmp_path):
    machine.python("python3.11", "3.11.7")
    far = machine.python("python", "3.13.5", folder=tmp_path / "a folder")
    assert machine.make("python", f"PYTHON={far}")[0] == 0
    old = machine.python("python", "3.9.5", folder=tmp_path / "old")
    status, text = machine.make("setup", f"PYTHON={old}")
    assert status != 0
    assert f"{old}: Python 3.9.5" in text
    assert machine.calls() == []
    assert machine.make("setup", f"PYTHON={far}")[0] == 0
    assert machine.calls()[0] == "3.13.5 -m venv .venv"


def test_an_environment_of_another_version_is_named_and_kept(machine):
    machine.python("python3.12", "3.12.1")
    kept = machine.python("python", "3.14.0", folder=machine.checkout / ".venv/bin")
    status, text = machine.make("setup")
    assert status != 0
    assert "The folder .venv has Python 3.14.0; tfmeta needs Python 3.11, 3.12 or 3.13." in text
    assert kept.exists()
    assert machine.calls() == []


def test_an_environment_without_pip_is_completed(machine):
    machine.python("python3.12", "3.12.1")
    kept = machine.python("python", "3.13.1", folder=machine.checkout / ".venv/bin")
    Path(f"{machine.log}.no-pip").touch()
    assert machine.make("setup")[0] == 0
    assert kept.exists()
    assert [line.split()[2] for line in machine.calls()] == ["pip", "ensurepip", "pip"]
    assert not any("venv" in line for line in machine.calls())


def test_an_environment_that_does_not_start_is_made_anew(machine):
    machine.python("python3.12", "3.12.1")
    lost = machine.checkout / ".venv/bin/python"
    lost.parent.mkdir(parents=True)
    lost.symlink_to("/nowhere/python3.11")
    assert machine.make("setup")[0] == 0
    assert os.path.isfile(lost)
    assert machine.calls()[0] == "3.12.1 -m venv .venv"


def test_makefile_package_and_page_name_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, last = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups())
    versions = [f"3.{minor}" for minor in range(first, last)]
    classifiers = [c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c]
    assert classifiers == versions
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"WANTED := Python {', '.join(versions[:-1])} or {versions[-1]}\n" in makefile
    assert f"(3, {first}) <= sys.version_info[:2] < (3, {last})" in makefile
    assert re.search(r"^NAMES := ((?:python3\.\d+ )+)", makefile, re.M)[1].split() == [f"python{v}" for v in versions]
    for page in ("README.md", "docs/setup.md"):
        assert f"Python {', '.join(versions[:-1])} or {versions[-1]}" in (ROOT / page).read_text(encoding="utf-8")
