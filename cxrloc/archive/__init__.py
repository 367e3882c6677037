"""Archives of images: manifests of their files, and results as tables for queries."""
