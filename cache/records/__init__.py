"""What the stages exchange: the meta of their files, as typed records.

Each record is the JSON mapping of an artifact of one kind. `load_record` reads it and checks the
type of every field, so that a file of another program or revision is an error that names the file,
the field, what was found and what was expected. Fields that older revisions lack may be absent.
"""

from cache.records.ablation_records import AblationRecord, AblationsRecord
from cache.records.fit_record import FitRecord, FitSettings, TrainingRecord
from cache.records.load_record import check_record, load_record
from cache.records.scores_record import ScoresRecord
from cache.records.study_record import StudyRecord, StudyRow

__all__ = [
    "AblationRecord",
    "AblationsRecord",
    "FitRecord",
    "FitSettings",
    "ScoresRecord",
    "StudyRecord",
    "StudyRow",
    "TrainingRecord",
    "check_record",
    "load_record",
]
