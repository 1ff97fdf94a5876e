"""Draw loss, accuracy and keep_prob over the iterations; see ``--help``."""

from dropblock_mm.commands.plot_training import main

if __name__ == '__main__':
    main()
