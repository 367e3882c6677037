"""From features to heatmaps, and from heatmaps to boxes."""
