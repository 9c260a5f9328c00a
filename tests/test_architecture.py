"""Data flows one way: each module imports only what stands before it."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest

import fractal_tuner

PACKAGE = Path(fractal_tuner.__file__).parent

# The modules each module may import while it is itself imported; functions may import more.
MAY_IMPORT = {
    "dimensions": set(),
    "space": {"dimensions"},
    "field": set(),
    "progress": set(),
    "words": set(),
    "gallery": set(),
    "smoothing": set(),
    "trials": {"dimensions", "space"},
    "search": {"dimensions", "space", "trials", "field", "progress"},
    "hyperparameters": {"dimensions"},
    "rungs": {"field", "search"},
    "warm_start": {"dimensions", "space", "search"},
    "fingerprint": set(),
    "evaluation": {"search", "trials", "fingerprint"},
    "search_cv": {"dimensions", "space", "trials", "search", "evaluation", "fingerprint"},
    "oracle": {"dimensions", "hyperparameters", "rungs", "space", "trials", "search"},
    "sampler": {"dimensions", "space", "trials", "search"},
    "readers": {"dimensions", "hyperparameters", "space", "trials", "search", "words"},
    "axes": {"dimensions"},
    "observations": {"axes", "dimensions", "space", "trials"},
    "landscape": {"axes", "observations", "space", "trials", "smoothing"},
    "mapping": {"landscape", "space", "trials"},
    "analysis": {"landscape", "observations", "field", "smoothing"},
    "fractals": {"landscape"},
    "trainability": {"fractals"},
    "report": {
        "axes",
        "dimensions",
        "space",
        "trials",
        "landscape",
        "analysis",
        "readers",
        "words",
    },
    "noise_floor": {"landscape", "trials", "analysis", "words"},
    "cli": {"words"},
    "__init__": set(),
}

# Heavy packages, and the only modules that may import them while they are themselves imported.
HOSTED_BY = {
    "sklearn": {"search_cv", "evaluation"},
    "joblib": {"search_cv", "evaluation", "fingerprint"},
    "keras_tuner": {"oracle"},
    "keras": {"oracle"},
    "tensorflow": {"oracle"},
    "optuna": {"sampler"},
    "matplotlib": set(),
    "pandas": set(),
    "dask": set(),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    """The row of the table a file belongs to: a folder is one module."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def executed_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported: no function bodies, no type-only imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from executed_on_import(child)


def imported(file: Path) -> set[str]:
    """Dotted names that a file brings in while it is imported."""
    package = ".".join(file.relative_to(PACKAGE.parent).parent.parts)
    names: set[str] = set()
    for node in executed_on_import(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            names |= {f"{source}.{alias.name}" for alias in node.names}
    return names


def our_modules(names: set[str]) -> set[str]:
    """Those of our modules that stand behind dotted names; a public name stands for its home."""
    inside = {name.split(".")[1] for name in names if name.startswith("fractal_tuner.")}
    homes = {fractal_tuner._HOMES.get(name, name) for name in inside}
    return {home.split(".")[0] for home in homes} - {"__version__"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_imports_only_what_stands_before_it(file):
    module = module_of(file)
    assert module in MAY_IMPORT, f"{module} needs a row in the table of allowed imports"
    assert our_modules(imported(file)) <= MAY_IMPORT[module] | {module}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_host_is_imported_by_its_front_end_alone(file):
    module = module_of(file)
    hosts = {name.split(".")[0] for name in imported(file)} & set(HOSTED_BY)
    assert all(module in HOSTED_BY[host] for host in hosts), hosts


def test_no_public_name_is_the_name_of_a_module():
    # Importing a module sets it as an attribute of its package, which would hide the public name.
    modules = {module_of(file) for file in FILES} | set(MAY_IMPORT)
    assert modules.isdisjoint(fractal_tuner.__all__)


def test_the_lists_of_public_names_agree():
    # They are one list, written three times: for users, for the import, and for type checkers.
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    shown = {
        alias.name: node.module.removeprefix("fractal_tuner.")
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == fractal_tuner._HOMES
    missing = set(shown) - set(fractal_tuner.__all__)
    assert set(fractal_tuner.__all__) <= set(shown)
    assert missing == (set() if find_spec("keras_tuner") else {"FractalOracle", "FractalTuner"})
