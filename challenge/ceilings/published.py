"""Published sizes of the eight subjects' data, for use without the challenge's files."""

from typing import NamedTuple


class Counts(NamedTuple):
    """Numbers of pictures, vertices (lh, rh) and completed NSD scan sessions of one subject."""

    train: int
    test: int
    lh: int
    rh: int
    sessions: int


# For zips and tables that come without the challenge's directory; otherwise the files in the
# directory are counted.
PUBLISHED: dict[str, Counts] = {
    "01": Counts(9841, 159, 19004, 20544, 40),
    "02": Counts(9841, 159, 19004, 20544, 40),
    "03": Counts(9082, 293, 19004, 20544, 32),
    "04": Counts(8779, 395, 19004, 20544, 30),
    "05": Counts(9841, 159, 19004, 20544, 40),
    "06": Counts(9082, 293, 18978, 20220, 32),
    "07": Counts(9841, 159, 19004, 20544, 40),
    "08": Counts(8779, 395, 18981, 20530, 30),
}
TRIALS_PER_SESSION = 750
