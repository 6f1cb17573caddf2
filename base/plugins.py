"""Plug-ins: a new file in a package's folder adds a network, a model or a metric."""

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

    Examples
    --------
    >>> from evaluate import ensembles
    >>> "per_vertex" in plugin_names(ensembles)
    True
    """
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in names if not name.startswith("_"))


def load_plugin(package: ModuleType, name: str, kind: str) -> ModuleType:
    """Import one module of a package, by name.

    Parameters
    ----------
    package : module
        The package, for example `regress.models`.
    name : str
        The module's name.
    kind : str
        The kind of plug-in, for the error: "model", "network family", "metric".

    Returns
    -------
    module
        The module.

    Raises
    ------
    RoiridgeError
        If there is no such module; the message lists the available ones.

    Examples
    --------
    >>> from evaluate import ensembles
    >>> load_plugin(ensembles, "average", "ensemble").__name__
    'evaluate.ensembles.average'
    """
    names = plugin_names(package)
    if name not in names:
        raise RoiridgeError(f"unknown {kind} {name!r}: {choose_from(name, names)}")
    return importlib.import_module(f"{package.__name__}.{name}")


def choose_from(name: object, names: Iterable[str]) -> str:
    """Return the advice for an unknown name: "choose from" and the available names.

    Parameters
    ----------
    name : object
        The unknown name.
    names : iterable of str
        The available names.

    Returns
    -------
    str
        One phrase of an error message.

    Examples
    --------
    >>> choose_from("clop", ["clip", "sam"])
    "choose from clip, sam; did you mean 'clip'?"
    """
    return f"choose from {list_choices(name, names)}"


def list_choices(name: object, names: Iterable[str]) -> str:
    """Return the available names as text, with a hint at the nearest to an unknown one.

    Parameters
    ----------
    name : object
        The unknown name.
    names : iterable of str
        The available names.

    Returns
    -------
    str
        The names with commas, and the hint.

    Examples
    --------
    >>> list_choices("clop", ["clip", "sam"])
    "clip, sam; did you mean 'clip'?"
    """
    choices = list(names)
    return f"{', '.join(choices)}{nearest(str(name), choices)}"
