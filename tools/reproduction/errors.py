"""What ends the tool with one message."""

from __future__ import annotations


class RefusedError(Exception):
    """What was typed, or found, cannot be used; the message says what to do."""
