"""Files that are no images: tables and structured files are read, and whole files are written."""
