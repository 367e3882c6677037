"""Tests of heatmaps: does a map show what the model used, and would it be the same again?"""
