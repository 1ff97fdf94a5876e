"""Estimate the GPU hours of a config; see ``--help``."""

from dropblock_mm.commands.estimate_cost import main

if __name__ == '__main__':
    main()
