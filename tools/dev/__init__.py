"""What developers run: set-up, benchmark, writers of pages and pictures."""
