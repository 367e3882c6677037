"""Weakly-supervised localization for chest radiographs."""
