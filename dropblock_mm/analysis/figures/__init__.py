"""Parts of the figures that commands draw."""
