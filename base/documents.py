"""Small JSON and YAML files, read by one reader, with one kind of error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from base.errors import RoiridgeError

# Bytes: people write files of some kilobytes, and YAML takes a minute for ten megabytes.
LARGEST = 1 << 20
# Levels of nesting. YAML's loaders call themselves for each, and end the process where there is no
# more room for that.
DEEPEST = 100


class DocumentError(RoiridgeError):
    """A file is no JSON or YAML, or not of what was expected."""


def read_json(path: Path, kind: type = dict, largest: int | None = None) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.
    kind : type
        What it is to hold: dict or list.
    largest : int, optional
        Bytes that it may have.

    Returns
    -------
    dict or list
        What it holds.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DocumentError
        If it is too large, no text in UTF-8, no JSON, nested too deep, or holds NaN or infinity, or
        something else than `kind`; the message names the file.
    """
    return parse_json(_read(path, largest), str(path), kind)


def parse_json(content: bytes, where: str, kind: type = dict) -> Any:
    """Parse the content of a JSON file.

    Parameters
    ----------
    content : bytes
        The content.
    where : str
        What the error names.
    kind : type
        What it is to hold: dict or list.

    Returns
    -------
    dict or list
        What it holds.

    Raises
    ------
    DocumentError
        As of `read_json`.
    """
    return _checked(content, where, "JSON", _loads, kind)


def read_yaml(path: Path, load: Callable[[str], Any], largest: int = LARGEST) -> dict[str, Any]:
    """Read a YAML file.

    Parameters
    ----------
    path : Path
        The file, in UTF-8.
    load : callable
        Makes values of its text: safe, of strings, numbers, lists and mappings alone.
    largest : int
        Bytes that it may have.

    Returns
    -------
    dict
        Empty where the file holds nothing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DocumentError
        As of `read_json`.
    """

    def named(text: str) -> Any:
        _check_depth(text)
        found = load(text)
        return {} if found is None or found == "" else found

    return _checked(_read(path, largest), str(path), "YAML", named, dict)


def _read(path: Path, largest: int | None) -> bytes:
    with path.open("rb") as opened:
        content = opened.read(-1 if largest is None else largest + 1)
    if largest is not None and len(content) > largest:
        raise DocumentError(f"{path}: is larger than {largest:,} bytes; expected a small text file")
    return content


def _checked(
    content: bytes, where: str, language: str, load: Callable[[str], Any], kind: type
) -> Any:
    from yaml import YAMLError

    try:
        found = load(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{where}: is no text in UTF-8 ({error})") from error
    except RecursionError as error:
        raise DocumentError(f"{where}: is nested too deep to be read as {language}") from error
    except (ValueError, YAMLError) as error:
        why = " ".join(str(error).split())
        raise DocumentError(f"{where}: cannot be read as {language} ({why[:300]})") from error
    if not isinstance(found, kind):
        expected = "names and values" if kind is dict else "a list"
        raise DocumentError(f"{where}: holds {type(found).__name__}, expected {expected}")
    return found


def _check_depth(text: str) -> None:
    """Refuse YAML that is nested too deep, by its events, which come one after the other."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise RecursionError


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
