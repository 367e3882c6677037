"""Scores of boxes and heatmaps against the boxes, outlines and points of experts."""
