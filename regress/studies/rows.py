"""A study as it is written: rows read from YAML, and refused where they cannot be fitted."""

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
MANY = ("all", "others")


@dataclass(frozen=True)
class Row:
    """One model to fit.

    Attributes
    ----------
    name : str
        What the row is called in tables.
    model : str
        A file in `regress/models`.
    spaces : tuple of str
        Feature spaces, by the role that they play in the study: on data that lack one, another may
        stand in for it.
    group_by : str
        Whose vertices choose or train together.
    params : dict
        The model's parameters.
    subjects : str or tuple of str
        Whom the model is trained on at once: "all", "others" (than the subject of the study), or
        their numbers. Empty for each subject of the study on its own.
    start : str
        An earlier row, with whose weights the training begins.
    images : int or None
        Training pictures that are used; None for all.
    paper : str
        What was reported of such a model elsewhere, on other data than the user's.
    seeds : int
        How many fits of it, of random_state 0, 1, 2 …, and of weights random:0, random:1 … where
        params begin with such; of a model that draws nothing at random, 1.
    against : str
        The earlier row that it is compared with, from which it differs in one thing; empty for the
        first of the study.
    untrained : bool
        Whether its features are to come from random weights.
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
    """Rows that are compared, with the first of them where they do not name another.

    Attributes
    ----------
    name : str
        The file's name without its ending.
    rows : tuple of Row
        In the order of the table.
    about : str
        What is compared, for the head of the table.
    paper : str
        What was found elsewhere, and where.
    """

    name: str
    rows: tuple[Row, ...]
    about: str = ""
    paper: str = ""


def read_study(study: str) -> Study:
    """Read a study; every row is checked before any is fitted.

    Parameters
    ----------
    study : str
        The name of a file in `regress/studies`, or the path of another, which ends in .yaml.

    Returns
    -------
    Study
        Its rows, of models, parameters and groupings that there are.
    """
    path = Path(study) if study.endswith((".yaml", ".yml")) else FOLDER / f"{study}.yaml"
    if not path.is_file():
        there = choose_from(study, sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise RegressError(f"no study {study!r}: {there}; or give a .yaml file")
    try:
        # As the command line reads its values: 3e-4 is a number, which YAML alone denies.
        found = read_yaml(path, get_loader("yaml"))
    except DocumentError as error:
        raise RegressError(str(error)) from error
    held = _fields(Study, found, str(path), without=("name",))
    if not isinstance(held["rows"], list) or not held["rows"]:
        raise RegressError(f"{path}: rows: found {held['rows']!r}, expected a list of rows")
    rows: dict[str, Row] = {}
    for number, one in enumerate(held["rows"], start=1):
        named = f" ({one['name']})" if isinstance(one, dict) and "name" in one else ""
        where = f"{path}: row {number}{named}"
        row = _row(one, where)
        if row.name in rows:
            raise RegressError(f"{where}: an earlier row has this name; give each its own")
        for name, other in (("start", row.start), ("against", row.against)):
            if other and other not in rows:
                earlier = ", ".join(rows) or "none"
                raise RegressError(f"{where}: {name}: found {other!r}, expected an earlier row, "
                                   f"of {earlier}")  # fmt: skip
        rows[row.name] = row
    return Study(path.stem, tuple(rows.values()), held.get("about", ""), held.get("paper", ""))


def _row(found: Any, where: str) -> Row:
    held = _fields(Row, found, where)
    for name in ("spaces", "subjects"):
        value = held.get(name, [])
        if isinstance(value, list) and (value or name not in held):
            held[name] = tuple(str(one).zfill(2 * (name == "subjects")) for one in value)
        elif name == "spaces" or value not in MANY:
            expected = "a list of names" if name == "spaces" else "all, others or a list of numbers"
            raise RegressError(f"{where}: {name}: found {value!r}, expected {expected}")
    row = Row(**held)
    if not isinstance(row.params, dict):
        raise RegressError(f"{where}: params: found {row.params!r}, expected NAME: VALUE")
    if row.images is not None and (not isinstance(row.images, int) or row.images < 1):
        raise RegressError(
            f"{where}: images: found {row.images!r}, expected a whole number above 0"
        )
    if not isinstance(row.untrained, bool):
        raise RegressError(f"{where}: untrained: found {row.untrained!r}, expected true or false")
    try:
        check_grouping(row.group_by)
        _check_seeds(row, make_estimator(row.model, dict(row.params)))
    except RoiridgeError as error:
        raise RegressError(f"{where}: {error}") from error
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


def _fields(kind: type[Row] | type[Study], found: Any, where: str, without: tuple[str, ...] = ()
            ) -> dict[str, Any]:  # fmt: skip
    """Check that a mapping has the fields of a class, and texts where these are texts."""
    known = {f.name: f for f in fields(kind) if f.name not in without}
    needed = [
        name for name, f in known.items() if f.default is MISSING and f.default_factory is MISSING
    ]
    if not isinstance(found, dict):
        raise RegressError(f"{where}: found {found!r}, expected {', '.join(known)}")
    if unknown := [str(name) for name in found if name not in known]:
        raise RegressError(f"{where}: knows no {', '.join(unknown)}; expected {', '.join(known)}")
    if lacking := [name for name in needed if name not in found]:
        raise RegressError(f"{where}: lacks {', '.join(lacking)}; expected {', '.join(needed)}")
    for name, value in found.items():
        if known[name].type is str and (not isinstance(value, str) or not value.strip()):
            raise RegressError(f"{where}: {name}: found {value!r}, expected words")
    return dict(found)
