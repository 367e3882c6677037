"""Tests of heatmaps: whether a map shows what the model used, and whether it is reproducible."""
