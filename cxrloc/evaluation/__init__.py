"""From claims and truth to numbers."""
