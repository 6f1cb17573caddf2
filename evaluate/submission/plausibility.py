"""Checks of predictions that have the right shape, and yet are probably wrong."""

import hashlib

from challenge import constant_columns
from challenge.layout import responses_file
from evaluate.arrays import Array
from evaluate.submission.expected_files import ExpectedFile
from evaluate.submission.findings import Findings
from evaluate.submission.row_order import compare_hemispheres, find_order

_FEWEST = 5  # pictures that an order can be seen in
_FIX = "save both hemispheres in the order of the test pictures' file names"


class PlausibilityCheck:
    """Checks hemispheres one after the other, with one subject in memory, and adds findings."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._rows: dict[bytes, tuple[str, bytes]] = {}
        self._left: tuple[str, Array] | None = None
        self._unordered: list[str] = []
        self._n_unchecked = 0

    def check(self, name: str, values: Array, expected: ExpectedFile) -> None:
        """Check a file's predictions (n_images, n_vertices); of a subject, lh must come first."""
        if len(values) > 1 and (values == values[0]).all():
            self._findings.suspicions.append(
                f"{name}: all {len(values)} rows are the same, which scores 0: predict each picture"
            )
            return
        self._compare_rows(name, values)
        if n_constant := int(constant_columns(values).sum()):
            self._findings.remarks.append(
                f"{name}: {n_constant} of {values.shape[1]} vertices have one prediction for all "
                "pictures: they score 0"
            )
        if len(values) < _FEWEST:
            return
        self._compare_responses(name, values, expected)
        self._compare_sides(name, values, expected)

    def conclude(self) -> None:
        """Add remarks on the checks that were not possible."""
        if self._n_unchecked:
            self._findings.remarks.append(
                "whether the rows are in the order of the test pictures can only be told from "
                "responses to them; here there are none"
            )
        if self._unordered:
            names = ", ".join(self._unordered[:4]) + (" …" if len(self._unordered) > 4 else "")
            self._findings.remarks.append(
                f"{names}: nothing in {len(self._unordered)} of the files follows the test "
                "responses: either the rows are in another order or of other pictures or of "
                "another subject, or the model predicts nothing"
            )

    def _compare_rows(self, name: str, values: Array) -> None:
        rows = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in values]
        ordered, sorted_ = b"".join(rows), b"".join(sorted(rows))
        if sorted_ in self._rows:
            twin_name, previous = self._rows[sorted_]
            is_same = previous == ordered
            same = "the same predictions as" if is_same else "the rows, in another order, of"
            self._findings.suspicions.append(
                f"{name}: holds {same} {twin_name}: put this subject's and hemisphere's own"
            )
        self._rows.setdefault(sorted_, (name, ordered))
        if n := len(rows) - len(set(rows)):
            self._findings.remarks.append(
                f"{name}: {n} rows repeat another row, though no test picture comes twice"
            )

    def _compare_responses(self, name: str, values: Array, expected: ExpectedFile) -> None:
        subject = expected.source
        side = expected.hemisphere
        if subject is None or not responses_file(subject.folder, side, "test").is_file():
            self._n_unchecked += 1
            return
        subject.check_finite(side, "test")
        order = find_order(subject.responses(side, "test"), values)
        if order is None:
            self._unordered.append(name)
        elif order:
            self._findings.suspicions.append(
                f"{name}: its rows stand {order} beside the test responses: {_FIX}"
            )

    def _compare_sides(self, name: str, values: Array, expected: ExpectedFile) -> None:
        if expected.hemisphere == "lh":
            self._left = (f"{expected.folder}", values)
        elif self._left is not None and self._left[0] == expected.folder:
            if order := compare_hemispheres(self._left[1], values):
                self._findings.suspicions.append(
                    f"{name}: its rows stand {order} beside those of lh, going by which pictures "
                    f"either takes to be alike: {_FIX}"
                )
            elif order is None:
                self._findings.remarks.append(
                    f"{expected.folder}: lh and rh do not take the same pictures to be alike; if "
                    "one model made both, one of them is in another order"
                )
            self._left = None
