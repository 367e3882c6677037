"""A run as one HTML file that a reader can explore; its scripts and style are in this folder."""
