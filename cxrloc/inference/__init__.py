"""A model over many images: predictions, heatmaps and detections."""
