"""From a file to a `Radiograph`, and from a `Radiograph` to the array that a network takes."""
