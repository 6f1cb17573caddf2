"""Readers of small JSON and YAML files, which raise one kind of error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from base.errors import RoiridgeError

# Largest YAML file, in bytes: people write a few kilobytes, and ten megabytes take a minute.
MAX_BYTES = 1 << 20
# Levels of nesting. YAML's loaders recurse at each level, and crash the process where the stack is
# full.
MAX_DEPTH = 100


class DocumentError(RoiridgeError):
    """A file is not valid JSON or YAML, or does not hold the expected type."""


def read_json(path: Path, kind: type = dict, max_bytes: int | None = None) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.
    kind : type
        The expected type of the document: dict or list.
    max_bytes : int, optional
        The largest size of the file that is accepted.

    Returns
    -------
    dict or list
        The document.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DocumentError
        If it is too large, not UTF-8, not JSON, nested too deeply, holds NaN or infinity, or is
        not of type `kind`; the message names the file.

    Examples
    --------
    >>> _ = Path("marks.json").write_text('{"score": 64.0}')
    >>> read_json(Path("marks.json"))
    {'score': 64.0}
    """
    return parse_json(_read(path, max_bytes), str(path), kind)


def parse_json(content: bytes, source: str, kind: type = dict) -> Any:
    """Parse the content of a JSON file.

    Parameters
    ----------
    content : bytes
        The content.
    source : str
        The name of the file, for the error.
    kind : type
        The expected type of the document: dict or list.

    Returns
    -------
    dict or list
        The document.

    Raises
    ------
    DocumentError
        For the same reasons as `read_json`.

    Examples
    --------
    >>> parse_json(b'{"seed": 0}', "settings.json")
    {'seed': 0}
    """
    return _parse(content, source, "JSON", _loads, kind)


def read_yaml(path: Path, load: Callable[[str], Any], max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a YAML file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.
    load : callable
        A safe loader of YAML text: of strings, numbers, lists and mappings alone.
    max_bytes : int
        The largest size of the file that is accepted.

    Returns
    -------
    dict
        The document; empty where the file holds nothing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DocumentError
        For the same reasons as `read_json`.

    Examples
    --------
    >>> import yaml
    >>> _ = Path("cluster.yaml").write_text("cpus: 4")
    >>> read_yaml(Path("cluster.yaml"), yaml.safe_load)
    {'cpus': 4}
    """

    def load_checked(text: str) -> Any:
        _check_depth(text)
        value = load(text)
        return {} if value is None or value == "" else value

    return _parse(_read(path, max_bytes), str(path), "YAML", load_checked, dict)


def _read(path: Path, max_bytes: int | None) -> bytes:
    with path.open("rb") as file:
        content = file.read(-1 if max_bytes is None else max_bytes + 1)
    if max_bytes is not None and len(content) > max_bytes:
        raise DocumentError(
            f"{path}: is larger than {max_bytes:,} bytes; expected a small text file"
        )
    return content


def _parse(
    content: bytes, source: str, language: str, load: Callable[[str], Any], kind: type
) -> Any:
    from yaml import YAMLError

    try:
        value = load(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{source}: is not UTF-8 text ({error})") from error
    except RecursionError as error:
        raise DocumentError(f"{source}: is nested too deeply to be read as {language}") from error
    except (ValueError, YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DocumentError(f"{source}: cannot be read as {language} ({reason[:300]})") from error
    if not isinstance(value, kind):
        expected = "names and values" if kind is dict else "a list"
        raise DocumentError(f"{source}: holds {type(value).__name__}, expected {expected}")
    return value


def _check_depth(text: str) -> None:
    """Check that YAML is not nested too deeply, by its events, which are read without recursion."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise RecursionError


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON number")
