"""Read a study from YAML, and check its rows."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from jsonargparse import get_loader

from base import DocumentError, RoiridgeError, choose_from, read_yaml
from regress.data.vertex_columns import check_grouping
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fitting.request_checks import make_estimator
from regress.solvers.arguments import MAX_COUNT

FOLDER = Path(__file__).parent
SUBJECT_SETS = ("all", "others")


@dataclass(frozen=True)
class Row:
    """A row of a study: one model to fit.

    Attributes
    ----------
    name : str
        The row's name in tables.
    model : str
        Name of a file in `regress/models`.
    spaces : tuple of str
        Feature spaces; where the cache lacks one, --stand_in may name another.
    group_by : str
        The grouping of vertices that choose or train together, a key of `GROUPINGS`.
    params : dict
        The model's parameters.
    subjects : str or tuple of str
        Subjects that are trained together: "all", "others" (than the subject of the study), or
        their numbers. Empty to fit each subject of the study alone.
    start : str
        The name of an earlier row, from whose fit the training begins.
    images : int or None
        Number of training pictures to fit on; None for all.
    paper : str
        The result that a paper reported for such a model, on its own data.
    seeds : int
        Number of fits, with random_state 0, 1, 2 …, and with weights random:0, random:1 … where
        the parameter `weights` begins with "random:"; 1 for a model without random_state.
    against : str
        The earlier row to compare with, which differs in one thing; empty for the first row.
    untrained : bool
        Whether the features must come from networks with random weights.
    """

    name: str
    model: str
    spaces: tuple[str, ...]
    group_by: str = "roi"
    params: Mapping[str, Any] = field(default_factory=dict)
    subjects: str | tuple[str, ...] = ()
    start: str = ""
    images: int | None = None
    paper: str = ""
    seeds: int = 1
    against: str = ""
    untrained: bool = False


@dataclass(frozen=True)
class Study:
    """Models to compare, each with the row it names, or else with the first.

    Attributes
    ----------
    name : str
        The file's name without its ending.
    rows : tuple of Row
        The rows, in the order of the table.
    about : str
        A title for the table.
    paper : str
        The results of a paper, and its reference.
    """

    name: str
    rows: tuple[Row, ...]
    about: str = ""
    paper: str = ""


def read_study(study: str) -> Study:
    """Read a study, and check every row.

    Parameters
    ----------
    study : str
        The name of a file in `regress/studies`, or the path of a .yaml file.
    """
    path = Path(study) if study.endswith((".yaml", ".yml")) else FOLDER / f"{study}.yaml"
    if not path.is_file():
        choices = choose_from(study, sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise RegressError(f"no study {study!r}: {choices}; or give a .yaml file")
    try:
        # With the command line's loader, for which 3e-4 is a number; for YAML it is a string.
        document = read_yaml(path, get_loader("yaml"))
    except DocumentError as error:
        raise RegressError(str(error)) from error
    held = _fields(Study, document, str(path), without=("name",))
    if not isinstance(held["rows"], list) or not held["rows"]:
        raise RegressError(f"{path}: rows: found {held['rows']!r}, expected a list of rows")
    rows: dict[str, Row] = {}
    for number, entry in enumerate(held["rows"], start=1):
        label = f" ({entry['name']})" if isinstance(entry, dict) and "name" in entry else ""
        source = f"{path}: row {number}{label}"
        row = _row(entry, source)
        if row.name in rows:
            raise RegressError(f"{source}: an earlier row has this name; give each its own")
        for name, reference in (("start", row.start), ("against", row.against)):
            if reference and reference not in rows:
                earlier = ", ".join(rows) or "none"
                raise RegressError(
                    f"{source}: {name}: found {reference!r}, expected an earlier row, of {earlier}"
                )
        rows[row.name] = row
    return Study(path.stem, tuple(rows.values()), held.get("about", ""), held.get("paper", ""))


def _row(entry: Any, source: str) -> Row:
    held = _fields(Row, entry, source)
    for name in ("spaces", "subjects"):
        value = held.get(name, [])
        if isinstance(value, list) and (value or name not in held):
            held[name] = tuple(str(item).zfill(2 * (name == "subjects")) for item in value)
        elif name == "spaces" or value not in SUBJECT_SETS:
            expected = "a list of names" if name == "spaces" else "all, others or a list of numbers"
            raise RegressError(f"{source}: {name}: found {value!r}, expected {expected}")
    row = Row(**held)
    if not isinstance(row.params, dict):
        raise RegressError(f"{source}: params: found {row.params!r}, expected NAME: VALUE")
    if row.images is not None and (not isinstance(row.images, int) or row.images < 1):
        raise RegressError(
            f"{source}: images: found {row.images!r}, expected a whole number above 0"
        )
    if not isinstance(row.untrained, bool):
        raise RegressError(f"{source}: untrained: found {row.untrained!r}, expected true or false")
    try:
        check_grouping(row.group_by)
        _check_seeds(row, make_estimator(row.model, dict(row.params)))
    except RoiridgeError as error:
        raise RegressError(f"{source}: {error}") from error
    return row


def _check_seeds(row: Row, estimator: Encoder) -> None:
    if isinstance(row.seeds, bool) or not isinstance(row.seeds, int) or row.seeds < 1:
        raise RegressError(f"seeds: found {row.seeds!r}, expected a whole number above 0")
    if row.seeds > MAX_COUNT:
        raise RegressError(f"seeds: found {row.seeds}, expected at most {MAX_COUNT}")
    if row.seeds > 1 and "random_state" not in estimator.get_params():
        raise RegressError(f"seeds: found {row.seeds}, but {row.model} draws nothing at random; "
                           "expected 1")  # fmt: skip
    if row.seeds > 1 and "random_state" in row.params:
        raise RegressError(f"seeds: found {row.seeds} beside params: random_state; expected one of "
                           "them")  # fmt: skip


def _fields(kind: type[Row] | type[Study], document: Any, source: str, without: tuple[str, ...] = ()
            ) -> dict[str, Any]:  # fmt: skip
    """Check that a mapping has the fields of a class, with strings where these are strings."""
    schema = {f.name: f for f in fields(kind) if f.name not in without}
    needed = [
        name for name, f in schema.items() if f.default is MISSING and f.default_factory is MISSING
    ]
    if not isinstance(document, dict):
        raise RegressError(f"{source}: found {document!r}, expected {', '.join(schema)}")
    if unknown := [str(name) for name in document if name not in schema]:
        raise RegressError(f"{source}: unknown {', '.join(unknown)}; expected {', '.join(schema)}")
    if missing := [name for name in needed if name not in document]:
        raise RegressError(f"{source}: lacks {', '.join(missing)}; expected {', '.join(needed)}")
    for name, value in document.items():
        if schema[name].type is str and (not isinstance(value, str) or not value.strip()):
            raise RegressError(f"{source}: {name}: found {value!r}, expected text")
    return dict(document)
