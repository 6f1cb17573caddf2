"""What the organisers published of the eight subjects, for when none of their files is at hand."""

from typing import NamedTuple


class Counts(NamedTuple):
    """The sizes of one subject's part of the challenge.

    Attributes
    ----------
    train : int
        Training pictures.
    test : int
        Test pictures.
    lh : int
        Vertices of the left hemisphere.
    rh : int
        Vertices of the right hemisphere.
    sessions : int
        Scan sessions of NSD that the subject completed, 750 trials each.
    """

    train: int
    test: int
    lh: int
    rh: int
    sessions: int


# For zips and tables that come without the challenge's directory; a directory's own files are
# counted instead wherever there is one.
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
