"""Between this package and a PACS: objects are sent, images are received and fetched."""
