"""Rules that every file of the package keeps: docstrings, safety, sizes, and who may import whom."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import keras

import tfmeta
from tfmeta import datasets, exploration, functional, networks, tasks

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
    ("algorithms", "exploration", "gym"),
    ("evaluation",),
    ("plotting", "checks"),
    ("app", "notebook", "__main__"),
)


# ---- docstrings ----------------------------------------------------------------------------------------------------
# Everything public has a docstring. With more than one argument it has `Args:`, whose names and order are those of the
# signature; where there are `Args:` and a result, it has `Returns:`. What a user imports from tfmeta has all of it and
# says the shapes of arrays. One paragraph is enough for a method whose class says the rest. What comes from a paper
# has `References:` with the paper, the place in it and its address; every learner comes from one.
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
    for module in (tfmeta, datasets, exploration, functional, networks, tasks):
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            thing = getattr(module, name)
            if not name.startswith("_") and (inspect.isfunction(thing) or inspect.isclass(thing)):
                yield f"{module.__name__}.{name}", thing


OBJECTS, EXPORTED = dict(public_objects()), dict(exported_objects())
# typer shows the command's docstrings as help and its options' own texts, which tests/test_cli.py looks at.
COMMAND = ("tfmeta.app.cli.", "tfmeta.app.commands.")
DESCRIBED = {name: thing for name, thing in OBJECTS.items() if not name.startswith(COMMAND)}


def is_method(thing):
    return inspect.isfunction(thing) and "." in thing.__qualname__


def arguments(thing):
    if inspect.isclass(thing) and issubclass(thing, BaseException):
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


def begins_with_a_sentence(text):
    return (text or "").split("\n\n")[0].rstrip().endswith((".", ":"))


def test_every_module_says_what_it_is():
    assert [m.__name__ for m in (tfmeta, *MODULES.values()) if not begins_with_a_sentence(m.__doc__)] == []


def own_docstring(name):
    thing = OBJECTS[name]
    if not is_method(thing):
        return vars(thing).get("__doc__") or thing.__doc__
    if thing.__doc__:
        return thing.__doc__
    method, owner = name.rpartition(".")[2], OBJECTS[name.rpartition(".")[0]]
    above = (getattr(vars(kind).get(method), "__doc__", None) for kind in owner.__mro__[1:])
    return next((text for text in above if text), None)  # of a method that a class above it describes


def test_every_public_name_has_a_docstring_that_begins_with_a_sentence():
    assert [name for name in OBJECTS if not begins_with_a_sentence(own_docstring(name))] == []


def faults_of_arguments_and_results(thing):
    if section(thing, "Args") is None:
        if not is_method(thing) and len(arguments(thing)) > 1:
            yield "no Args"
        return
    if listed(thing) != arguments(thing):
        yield f"Args are {listed(thing)}, the signature has {arguments(thing)}"
    result = inspect.get_annotations(thing).get("return") if inspect.isfunction(thing) else None
    if result not in ("None", None) and not section(thing, "Returns"):
        yield "no Returns"


def test_arguments_and_results_are_described():
    assert [f"{n}: {fault}" for n, thing in DESCRIBED.items() for fault in faults_of_arguments_and_results(thing)] == []


def faults_of_what_users_import(thing):
    if arguments(thing) and (section(thing, "Args") is None or listed(thing) != arguments(thing)):
        yield "Args are not those of the signature"
    if has_arrays(thing) and not re.search(r"`\[[^\]]*\]`|scalar|[Tt]ensors", inspect.getdoc(thing)):
        yield "no shape"
    if inspect.isfunction(thing):
        if not section(thing, "Returns"):
            yield "no Returns"
        raises = [node for node in ast.walk(ast.parse(inspect.getsource(thing))) if isinstance(node, ast.Raise)]
        if raises and not section(thing, "Raises"):
            yield "raises and does not say so"


def test_what_users_import_names_arguments_shapes_and_errors():
    described = {n: t for n, t in EXPORTED.items() if not (inspect.isclass(t) and issubclass(t, Exception))}
    assert [f"{n}: {fault}" for n, thing in described.items() for fault in faults_of_what_users_import(thing)] == []


PAPER = r"\bet al\.|\(\d{4}\)"  # "Finn et al. (2017)"
PLACE = r"section|equation|algorithm|figure|table|appendix"


def faults_of_references(name, thing):
    references = section(thing, "References")
    learner = inspect.isclass(thing) and issubclass(thing, keras.Model) and name.startswith("tfmeta.algorithms.")
    if references is None:
        if learner:
            yield "a learner without References"
        if name in EXPORTED and re.search(PAPER, inspect.getdoc(thing)):
            yield "a paper, but no References"
        return
    if not re.search(r"\bhttps?://\S", references):
        yield "References without an address"
    if learner and not (re.search(PAPER, references) and re.search(PLACE, references)):
        yield "References without the paper or the place in it"


def test_what_comes_from_a_paper_names_it_with_its_address():
    everything = {**OBJECTS, **EXPORTED}
    assert [f"{n}: {fault}" for n, thing in everything.items() for fault in faults_of_references(n, thing)] == []


# ---- exports -------------------------------------------------------------------------------------------------------
def test_all_is_sorted_and_complete():
    for path in (path for path, tree in SOURCES.items() if path.name == "__init__.py"):
        imported = {
            alias.asname or alias.name
            for node in ast.walk(SOURCES[path])
            if isinstance(node, ast.ImportFrom) and node.module.startswith("tfmeta")
            for alias in node.names
        } - {"command", "require_tensorflow"}
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
            yield node, {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}


def unsafe(path):
    tree, text = SOURCES[path], path.read_text(encoding="utf-8")
    modules = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"imports {name}" for name in names if name.split(".")[0] in modules)
    for node, keywords in calls(tree, "load"):
        numpys = ast.unparse(node.func).split(".")[0] in ("np", "numpy")
        if numpys and keywords.get("allow_pickle") != "False":
            yield "np.load without allow_pickle=False"
    for _, keywords in calls(tree, "load_model"):
        if keywords.get("safe_mode") != "True":
            yield "load_model without safe_mode=True"
    for name in ("eval", "exec", "enable_unsafe_deserialization"):
        yield from (f"calls {name}" for _ in calls(tree, name))
    yield from (f"says {words}" for words in ("safe_mode=False", "allow_pickle=True") if words in text)


def test_nothing_that_is_read_can_run_code():
    assert [f"{path.relative_to(PACKAGE)} {fault}" for path in SOURCES for fault in unsafe(path)] == []


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
