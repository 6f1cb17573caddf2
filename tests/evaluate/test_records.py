"""Records of the stages: an error names the file, the field, what was found and expected."""

from pathlib import Path
from typing import Any

import pytest

from cache import CacheError, read_meta, write_artifact
from cache.records import FitRecord, StudyRecord, load_record
from tests.builders.fits import write_fits

OLD_FILES = Path(__file__).parents[1] / "old_files"


@pytest.mark.parametrize("path", sorted(OLD_FILES.glob("fits/*/subj01/*.h5")), ids=str)
def test_fits_of_earlier_versions_are_records(path: Path) -> None:
    assert load_record(FitRecord, path, "") == read_meta(path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kind": "moments"}, "kind: found 'moments', expected 'fit'"),
        ({"subject": ...}, "subject: found nothing, expected str"),
        ({"spaces": "alexnet"}, "spaces: found 'alexnet', expected list of str"),
        ({"untrained": ["a", 2]}, r"untrained\[1\]: found 2, expected str"),
        ({"settings": {"seed": "0"}}, r"settings\.seed: found '0', expected int"),
        ({"settings": {"subjects": "all"}}, r"settings\.subjects: found 'all', expected list of s"),
        ({"settings": None}, "settings: found None, expected names and values"),
        ({"simulated": 1}, "simulated: found 1, expected bool"),
        (
            {"training": {"seconds_per_epoch": {"a": "1"}}},
            r"training\.seconds_per_epoch\.a: found '1', expected float or none",
        ),
    ],
)
def test_a_wrong_field_is_named(
    simulated: Path, tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    write_fits(tmp_path, simulated, subject="01")
    path = next(tmp_path.rglob("lh.V1v.h5"))
    meta = {name: value for name, value in (read_meta(path) | change).items() if value is not ...}
    write_artifact(path, {}, meta)
    with pytest.raises(CacheError, match=rf"lh\.V1v\.h5: is not a fit file \({fault}.*: remove it"):
        load_record(FitRecord, path, "remove it")


def test_a_row_of_a_study_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    meta = {"kind": "study", "study": "mine", "about": "", "paper": "", "stand_in": {}}
    write_artifact(path, {}, meta | {"rows": [{"asked": [], "why": ""}]})
    with pytest.raises(CacheError, match=r"mine\.h5: is not a study file \(rows\[0\]\.name: found"):
        load_record(StudyRecord, path, "fit it again")
