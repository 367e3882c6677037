"""A run as one HTML file that a reader can explore; its scripts and style lie beside."""
