"""Scores of boxes and heatmaps against experts' truth: Wang's protocol, controls, later metrics."""
