"""What tests and benchmarks share: tolerances, toy models, toy runs."""

from dropblock_mm.testing.tolerances import assert_close

__all__ = ['assert_close']
