"""The code of a plug-in, as a digest: results of older code are known by it.

Only the meaning counts: not comments, docstrings or the layout of the text, nor the version of
Python. What is installed, and what of this project is no plug-in, is told by `provenance`.
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
           "regress")  # fmt: skip


def code_digest(plugin: ModuleType) -> str:
    """Digest the code of a plug-in's file, and of the user's own modules that it imports.

    These are other plug-ins beside it, and modules that are neither installed nor of this project.

    Parameters
    ----------
    plugin : module
        As `load_plugin` gives it.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    package = plugin.__name__.rpartition(".")[0]
    found: dict[str, str] = {}
    names = [plugin.__name__]
    while names:
        name = names.pop()
        file = None if name in found else _own_file(name, package)
        if file is not None:
            source = file.read_bytes()
            found[name] = _digest_source(source)
            names += _imported(ast.parse(source), name, file)
    return digest(found)


def entry_digest(module: str, table: str, name: str) -> str:
    """Digest the code of one entry of a table, and of what it names in the table's module.

    Parameters
    ----------
    module : str
        The module, for example "regress.training.losses".
    table : str
        A dict at its top, which is written out there: "LOSSES".
    name : str
        The key of the entry.

    Returns
    -------
    str
        Sixteen hexadecimal digits; another where another entry, or nothing of this one, changed.

    Raises
    ------
    KeyError
        If the table has no such entry.
    """
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    defined = _definitions(Path(spec.origin).read_bytes())
    held = defined[table].value
    entries = {ast.literal_eval(k): v for k, v in zip(held.keys, held.values, strict=True)}
    parts: dict[str, Any] = {}
    nodes = [entries[name]]
    while nodes:
        node = nodes.pop()
        parts[str(len(parts))] = _plain(node)
        named = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & defined.keys()
        nodes += [defined.pop(one) for one in sorted(named)]
    return digest(parts)


@cache
def _digest_source(source: bytes) -> str:
    return hashlib.sha256(json.dumps(_plain(ast.parse(source))).encode()).hexdigest()


def _definitions(source: bytes) -> dict[str, Any]:
    """List what a module defines at its top, by name."""
    found: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found


def _plain(node: Any) -> Any:
    """Write a syntax tree as nested lists, without what is empty or only tells readers."""
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_text(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    # Versions of Python differ in the fields that they leave empty.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([name, _plain(value)] for name, value in fields)]


def _is_text(node: Any) -> bool:
    """Return whether a statement is a text alone, as docstrings are."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _imported(tree: ast.AST, name: str, file: Path) -> Iterator[str]:
    """List the modules that a module imports, with names that might be inside of modules."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            whence = "." * node.level + (node.module or "")
            whence = importlib.util.resolve_name(whence, package) if node.level else whence
            yield whence
            yield from (f"{whence}.{alias.name}" for alias in node.names)


def _own_file(name: str, package: str) -> Path | None:
    """Find the file of a module that counts as the user's own."""
    top = name.partition(".")[0]
    # Of this project only the folder of the plug-ins is the user's.
    beside = name.startswith(f"{package}.")
    if not beside and (top in {*PROJECT, *sys.stdlib_module_names} or _is_installed(top)):
        return None
    loaded = sys.modules.get(name)
    try:
        spec = loaded.__spec__ if loaded else importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None  # A name inside of a module, or a module that is absent here.
    file = Path(spec.origin) if spec and spec.origin else None
    return file if file is not None and file.suffix == ".py" and file.is_file() else None


@cache
def _is_installed(package: str) -> bool:
    # Of a package that nothing has imported yet only the place is looked up.
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # __main__, and what was made at run time
        return False
    places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
    return any({"site-packages", "dist-packages"} & set(Path(at).parts) for at in places if at)
