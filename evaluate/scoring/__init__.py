"""Scores of predictions, per vertex, ROI and subject, and the ensemble of several fits."""
