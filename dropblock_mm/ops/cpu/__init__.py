"""The path for the CPU: sparse seeds, and the loops over them."""
