"""The parts of benchmark_drop_block.py: one module for each section, and tools."""
