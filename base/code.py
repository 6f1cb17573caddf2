"""Digests of the code of plug-ins, by which results of older code are recognised.

Comments, docstrings, the layout of the text and the version of Python do not change a digest.
Installed packages and the rest of this project are recorded by `provenance` instead.
"""

import ast
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from base.digests import digest

PROJECT = ("base", "cache", "challenge", "evaluate", "execute", "extract", "networks", "plan",
           "predict", "regress", "roiridge")  # fmt: skip


def code_digest(plugin: ModuleType) -> str:
    """Return a digest of the code of a plug-in and of the user's modules that it imports.

    The user's modules are the other plug-ins in its folder, and all modules that are neither
    installed nor part of this project.

    Parameters
    ----------
    plugin : module
        A module that `load_plugin` returned.

    Returns
    -------
    str
        Sixteen hexadecimal digits.

    Examples
    --------
    >>> from evaluate.ensembles import average
    >>> len(code_digest(average))
    16
    """
    package = plugin.__name__.rpartition(".")[0]
    digests: dict[str, str] = {}
    names = [plugin.__name__]
    while names:
        name = names.pop()
        file = None if name in digests else _user_file(name, package)
        if file is not None:
            source = file.read_bytes()
            digests[name] = _digest_source(source)
            names += _imported_modules(ast.parse(source), name, file)
    return digest(digests)


def entry_digest(module: str, table: str, name: str) -> str:
    """Return a digest of the code of one entry of a table, and of the definitions that it uses.

    Parameters
    ----------
    module : str
        The module, for example "regress.training.losses".
    table : str
        The name of a dict literal at the top of the module: "LOSSES".
    name : str
        The key of the entry.

    Returns
    -------
    str
        Sixteen hexadecimal digits; changes of other entries do not change them.

    Raises
    ------
    KeyError
        If the table has no such entry.
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    definitions = _definitions(Path(spec.origin).read_bytes())
    table_node = definitions[table].value
    entries = {
        ast.literal_eval(k): v for k, v in zip(table_node.keys, table_node.values, strict=True)
    }
    parts: dict[str, Any] = {}
    nodes = [entries[name]]
    while nodes:
        node = nodes.pop()
        parts[str(len(parts))] = _as_lists(node)
        references = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & definitions.keys()
        nodes += [definitions.pop(reference) for reference in sorted(references)]
    return digest(parts)


@cache
def _digest_source(source: bytes) -> str:
    return hashlib.sha256(json.dumps(_as_lists(ast.parse(source))).encode()).hexdigest()


def _definitions(source: bytes) -> dict[str, Any]:
    """Return the syntax tree of each top-level definition of a module, by name."""
    definitions: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            definitions |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return definitions


def _as_lists(node: Any) -> Any:
    """Return a syntax tree as nested lists, without docstrings and empty fields."""
    if isinstance(node, list):
        return [_as_lists(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    # Versions of Python differ in the fields that they leave empty.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([name, _as_lists(value)] for name, value in fields)]


def _is_docstring(node: Any) -> bool:
    """Return whether a statement is a string alone, as docstrings are."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported_modules(tree: ast.AST, name: str, file: Path) -> Iterator[str]:
    """Yield the modules that a module imports; names imported from a module may be among them."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(source, package) if node.level else source
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _user_file(name: str, package: str) -> Path | None:
    """Return the file of a module of the user; None for other modules."""
    top = name.partition(".")[0]
    # Within this project, only the folder of the plug-ins counts as the user's.
    is_plugin = name.startswith(f"{package}.")
    if not is_plugin and (top in {*PROJECT, *sys.stdlib_module_names} or _is_installed(top)):
        return None
    loaded = sys.modules.get(name)
    try:
        spec = loaded.__spec__ if loaded else importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None  # A name inside a module, or a module that is not installed.
    file = Path(spec.origin) if spec and spec.origin else None
    return file if file is not None and file.suffix == ".py" and file.is_file() else None


@cache
def _is_installed(package: str) -> bool:
    # This looks up the location of the package without importing it.
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # __main__, and modules created at run time
        return False
    locations = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return any(
        {"site-packages", "dist-packages"} & set(Path(location).parts)
        for location in locations
        if location
    )
