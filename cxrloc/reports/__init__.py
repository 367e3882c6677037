"""Reads labels from the text of radiology reports."""
