"""Connects this package to a PACS: sends objects, and receives and fetches images."""
