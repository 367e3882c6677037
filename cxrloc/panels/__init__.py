"""Draws figures and pictures from numbers and images."""
