"""From the text of radiology reports to labels."""
