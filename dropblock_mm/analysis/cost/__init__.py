"""What a training costs: measured steps, images loaded, rated GPUs."""
