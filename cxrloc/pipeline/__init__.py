"""The functions that the commands call, one module for each command."""
