"""Scores of classifiers: ranking, operating points, calibration, agreement, comparison."""
