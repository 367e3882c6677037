"""From a folder to `Record`s: data sets, box lists and synthetic radiographs."""
