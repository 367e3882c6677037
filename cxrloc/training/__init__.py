"""From `Record`s to weights."""
