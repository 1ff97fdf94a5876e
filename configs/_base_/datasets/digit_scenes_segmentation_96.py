"""Few and small digit scenes, for a study: 500 to train, 200 to test, 96x96 pixels.

In a folder of their own, made on first use in a few seconds. So few scenes are seen
often enough, within minutes, for a model to learn them by heart.
"""

_base_ = './digit_scenes_segmentation.py'

data_root = 'data/digit_scenes_96/'
scenes = dict(
    root=data_root, num_train=500, image_size=96, dataset=dict(data_root=data_root)
)
train_dataloader = dict(batch_size=4, dataset=scenes)
val_dataloader = dict(dataset=scenes)
test_dataloader = val_dataloader
