from .ablation_records import AblationRecord, AblationsRecord
from .fit_record import FitRecord, FitSettings, TrainingRecord
from .load_record import check_record, load_record
from .scores_record import ScoresRecord
from .study_record import StudyRecord, StudyRow

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
