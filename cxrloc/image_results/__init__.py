"""The results of one image: what is reported of it, and the files that hold this."""
