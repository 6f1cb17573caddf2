"""One new file in a folder adds a network, a model or a metric; this finds and imports it."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from base.command_line.targets import nearest
from base.errors import RoiridgeError


def plugin_names(package: ModuleType) -> list[str]:
    """List the modules in a package's folder, without importing them.

    Parameters
    ----------
    package : module
        The package, for example `regress.models`.

    Returns
    -------
    list of str
        The names, sorted; those that begin with an underscore are left out.
    """
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def load_plugin(package: ModuleType, name: str, kind: str) -> ModuleType:
    """Import one module of a package, by name.

    Parameters
    ----------
    package : module
        The package, for example `regress.models`.
    name : str
        The module's name.
    kind : str
        What it is, for the error: "model", "network family", "metric".

    Returns
    -------
    module
        The module.

    Raises
    ------
    RoiridgeError
        If there is no such module; the message lists those that there are.
    """
    names = plugin_names(package)
    if name not in names:
        raise RoiridgeError(f"unknown {kind} {name!r}: {choose_from(name, names)}")
    return importlib.import_module(f"{package.__name__}.{name}")


def choose_from(name: object, names: Iterable[str]) -> str:
    """Return "choose from" and what `one_of` returns.

    Parameters
    ----------
    name : object
        What was given.
    names : iterable of str
        What there is.

    Returns
    -------
    str
        "choose from clip, sam; did you mean 'clip'?".
    """
    return f"choose from {one_of(name, names)}"


def one_of(name: object, names: Iterable[str]) -> str:
    """Return what a message says of an unknown name: the names that there are, and the nearest.

    Parameters
    ----------
    name : object
        What was given.
    names : iterable of str
        What there is.

    Returns
    -------
    str
        "clip, sam; did you mean 'clip'?".
    """
    known = list(names)
    return f"{', '.join(known)}{nearest(str(name), known)}"
