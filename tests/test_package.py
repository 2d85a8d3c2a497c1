"""Rules that every file of the package keeps: docstrings, safety, sizes, and who may import whom."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import tfmeta
from tfmeta import datasets, functional, networks

PACKAGE = Path(tfmeta.__file__).parent
MODULES = {m.name: importlib.import_module(m.name) for m in pkgutil.walk_packages(tfmeta.__path__, "tfmeta.")}
SOURCES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}

# Lowest first; a file imports from its own layer and those below: the way of the data.
LAYERS = (
    ("version", "machine"),
    ("core",),
    ("datasets",),
    ("tasks", "networks"),
    ("functional", "training"),
    ("algorithms",),
    ("evaluation",),
    ("plotting", "checks"),
    ("app",),
)


# ---- docstrings ----------------------------------------------------------------------------------------------------
# Everything public has a docstring. With more than one argument it has `Args:`, whose names and order are those of the
# signature; where there are `Args:` and a result, it has `Returns:`. What a user imports from tfmeta has all of it and
# `References:`, and says the shapes of arrays. One paragraph is enough for a method whose class says the rest.
def public_objects():
    for module in MODULES.values():
        for name, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            if own and not name.startswith("_") and (inspect.isfunction(thing) or inspect.isclass(thing)):
                yield f"{module.__name__}.{name}", thing
                for method, value in vars(thing).items() if inspect.isclass(thing) else ():
                    if inspect.isfunction(value) and not method.startswith("_"):
                        yield f"{module.__name__}.{name}.{method}", value


def exported_objects():
    for module in (tfmeta, datasets, functional, networks):
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            thing = getattr(module, name)
            if not name.startswith("_") and (inspect.isfunction(thing) or inspect.isclass(thing)):
                yield f"{module.__name__}.{name}", thing


OBJECTS, EXPORTED = dict(public_objects()), dict(exported_objects())
# typer shows the command's docstrings as help and its options' own texts, which tests/test_cli.py looks at.
DESCRIBED = {name: thing for name, thing in OBJECTS.items() if not name.startswith("tfmeta.app.cli.")}


def is_method(thing):
    return inspect.isfunction(thing) and "." in thing.__qualname__


def arguments(thing):
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return []
    return [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]


def has_arrays(thing):
    kinds = [str(kind) for kind in inspect.get_annotations(thing).values()]
    kinds = [kind for kind in kinds if "Callable" not in kind]
    return any(array in kind for kind in kinds for array in ("tf.Tensor", "np.ndarray", "Tensors"))


def section(thing, title):
    """The indented lines below `title:`, or `None`."""
    found = re.search(rf"^{title}:\n((?:    .*\n?|\n)*)", inspect.getdoc(thing) or "", re.M)
    return found[1] if found else None


def listed(thing):
    lines = re.findall(r"^    \*{0,2}(\w[\w, *]*):(?: |$)", section(thing, "Args"), re.M)
    return [name.strip(" *") for line in lines for name in line.split(",")]


def test_the_walk_finds_what_is_exported():
    found = {id(thing) for thing in OBJECTS.values()}
    assert all(id(thing) in found for thing in EXPORTED.values())
    assert len(OBJECTS) > 100
    assert len(EXPORTED) > 30


def test_every_module_says_what_it_is():
    for module in (tfmeta, *MODULES.values()):
        assert (module.__doc__ or "").split("\n\n")[0].rstrip().endswith((".", ":")), module.__name__


@pytest.mark.parametrize("name", OBJECTS)
def test_every_public_name_has_a_docstring_that_begins_with_a_sentence(name):
    thing = OBJECTS[name]
    text = inspect.getdoc(thing) if is_method(thing) else inspect.cleandoc(vars(thing).get("__doc__") or thing.__doc__)
    if text is None:  # a method that a class above it describes
        _, owner, method = name.rsplit(".", 2)
        owner = OBJECTS[name.rpartition(".")[0]]
        text = next(d for c in owner.__mro__[1:] if (d := getattr(vars(c).get(method), "__doc__", None)))
    assert text.split("\n\n")[0].rstrip().endswith((".", ":")), text.splitlines()[0]


@pytest.mark.parametrize("name", DESCRIBED)
def test_arguments_and_results_are_described(name):
    thing = DESCRIBED[name]
    if section(thing, "Args") is None:
        assert is_method(thing) or len(arguments(thing)) <= 1, f"{name} has no Args"
        return
    assert listed(thing) == arguments(thing)
    if inspect.isfunction(thing) and inspect.get_annotations(thing).get("return", "None") not in ("None", None):
        assert section(thing, "Returns"), f"{name} has no Returns"


@pytest.mark.parametrize("name", EXPORTED)
def test_what_users_import_names_arguments_shapes_and_source(name):
    thing = EXPORTED[name]
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    if arguments(thing):
        assert listed(thing) == arguments(thing)
    assert re.search(r"\bhttps?://\S", section(thing, "References") or ""), f"{name} has no reference with its address"
    if has_arrays(thing):
        assert re.search(r"`\[[^\]]*\]`|scalar|[Tt]ensors", inspect.getdoc(thing)), f"{name} names no shape"
    if inspect.isfunction(thing):
        assert section(thing, "Returns"), f"{name} has no Returns"
        raises = [node for node in ast.walk(ast.parse(inspect.getsource(thing))) if isinstance(node, ast.Raise)]
        assert not raises or section(thing, "Raises"), f"{name} raises and does not say so"


# ---- exports -------------------------------------------------------------------------------------------------------
def test_all_is_sorted_and_complete():
    for path in (path for path, tree in SOURCES.items() if path.name == "__init__.py"):
        imported = {
            alias.asname or alias.name
            for node in SOURCES[path].body
            if isinstance(node, ast.ImportFrom) and node.module.startswith("tfmeta")
            for alias in node.names
        } - {"import_tensorflow"}
        name = ".".join(("tfmeta", *path.parent.relative_to(PACKAGE).parts))
        names = getattr(importlib.import_module(name), "__all__", [])
        # As ruff sorts: constants, classes, the rest.
        assert names == sorted(names, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n)), name
        assert set(names) == imported, name
        assert len(set(names)) == len(names)


# ---- safety, sizes, layers -----------------------------------------------------------------------------------------
def calls(tree, name):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
            yield node, {keyword.arg: keyword.value for keyword in node.keywords}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_is_read_can_run_code(path):
    tree = SOURCES[path]
    unsafe = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert unsafe.isdisjoint(name.split(".")[0] for name in names)
    for node, keywords in calls(tree, "load"):
        if ast.unparse(node.func).split(".")[0] in ("np", "numpy"):
            assert ast.unparse(keywords["allow_pickle"]) == "False"
    for _, keywords in calls(tree, "load_model"):
        assert ast.unparse(keywords["safe_mode"]) == "True"
    assert not [node for name in ("eval", "exec", "enable_unsafe_deserialization") for node in calls(tree, name)]
    assert "safe_mode=False" not in path.read_text(encoding="utf-8")
    assert "allow_pickle=True" not in path.read_text(encoding="utf-8")


def test_no_file_is_longer_than_320_lines():
    lengths = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 320} == {}


def layer(module):
    """The layer of a module: that of the longest name in `LAYERS` that it is or lies in."""
    found = [
        (len(name), rank)
        for rank, names in enumerate(LAYERS)
        for name in names
        if f"{module}.".startswith(f"tfmeta.{name}.")
    ]
    assert found, f"{module} has no place in LAYERS of this test"
    return max(found)[1]


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tfmeta"))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import names its module in full"
            if node.module.split(".")[0] == "tfmeta":
                for alias in node.names:
                    below = f"{node.module}.{alias.name}"
                    yield below if below in MODULES else node.module


def test_nothing_imports_backwards():
    """Also not inside functions. A package's `__init__` only hands on what its files hold."""
    assert layer("tfmeta.tasks.sampling") > layer("tfmeta.datasets.images")
    backwards = []
    for path, tree in SOURCES.items():
        if path.name != "__init__.py":
            module = ".".join(("tfmeta", *path.relative_to(PACKAGE).with_suffix("").parts))
            wanted = set(imported_modules(tree))
            assert "tfmeta" not in wanted, f"{module} imports the whole package"
            backwards += [f"{module} imports {other}" for other in sorted(wanted) if layer(other) > layer(module)]
    assert backwards == []
