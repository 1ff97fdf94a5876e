"""What runs with the same seeds say of a difference, and what they do not."""
