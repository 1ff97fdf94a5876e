"""Checkpoints that are written whole, found again, and loaded safely."""
