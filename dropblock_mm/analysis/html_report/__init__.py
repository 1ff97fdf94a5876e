"""One page of HTML of what was trained, and of the pictures made of it."""
