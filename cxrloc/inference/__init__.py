"""Runs models on many images and returns predictions, heatmaps and detections."""
