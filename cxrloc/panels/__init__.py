"""From numbers and images to pictures."""
