"""The flows behind the commands, each on one page."""
