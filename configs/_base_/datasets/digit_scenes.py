"""Handwritten digits on photographs, 128x128 pixels, in every loader.

The scenes are made on first use, in about ten seconds, and kept in `data_root`
(`dropblock_mm.datasets.make_digit_scenes`). `dataset.dataset` reads them. No mirroring:
it would turn digits into shapes that are none.
"""

_base_ = './small_images.py'

data_root = 'data/digit_scenes/'
digit_scenes = dict(
    type='dropblock_mm.DigitScenes',
    root=data_root,
    num_train=2000,
    num_val=200,
    image_size=128,
    seed=0,
)
train_dataloader = dict(dataset=digit_scenes)
val_dataloader = dict(batch_size=20, dataset=digit_scenes)
test_dataloader = val_dataloader
