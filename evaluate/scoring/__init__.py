"""From predictions to scores: per vertex, per ROI, per subject, with the ensemble."""
