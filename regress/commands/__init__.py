"""The commands of stage 2, one per file; `study_fits` belongs to `study`."""
