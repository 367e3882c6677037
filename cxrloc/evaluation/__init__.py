"""Measures of classifiers, localization and heatmaps: predictions and truth become numbers."""
