"""Scores of labels that were read from reports, against gold labels."""
