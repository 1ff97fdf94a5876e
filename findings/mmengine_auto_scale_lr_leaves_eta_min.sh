#!/usr/bin/env bash
# mmengine 0.10.7: with auto_scale_lr a cosine that falls may rise instead.
#
# A good guess: auto_scale_lr fits a recipe to smaller batches, so the curve of its
# learning rate keeps its shape and only gets lower. Runner.scale_lr multiplies the rates
# of the optimizer, and leaves those that a schedule has itself: CosineAnnealingLR goes to
# eta_min, wherever it comes from. With the numbers of mmdet's RTMDet configs (lr=0.004,
# eta_min a twentieth of it, base_batch_size=256) and one process the end of training is
# as fast as the beginning in batches of 12.8, and faster in smaller ones. Nothing warns;
# eta_min_ratio, which would follow, is the other way to write the same schedule.
#
# Seen, in batches of 2 over five epochs: 3.13e-05, 5.6e-05, 0.000116, 0.000175, 0.0002
# with eta_min=0.0002; with eta_min_ratio=0.05 it falls from 3.13e-05 to 1.56e-06.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 numpy==2.2.6 \
  mmengine==0.10.7 setuptools==80.9.0

cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import mmengine
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset


class Numbers(Dataset):
    metainfo = {}

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.ones(2) * index


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.layer(inputs).square().mean()}

    def train_step(self, data, optim_wrapper):
        loss = self(data)['loss']
        optim_wrapper.update_params(loss)
        return {'loss': loss}


class Rates(Hook):
    def __init__(self):
        self.seen = []

    def before_train_epoch(self, runner):
        self.seen.append(runner.optim_wrapper.get_lr()['lr'][0])


def rates(**least):
    hook = Rates()
    runner = Runner(
        model=Model(),
        work_dir='run',
        train_dataloader=dict(
            dataset=Numbers(),
            batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=5),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.004)),
        param_scheduler=dict(type='CosineAnnealingLR', T_max=4, **least),
        auto_scale_lr=dict(enable=True, base_batch_size=256),
        default_hooks=dict(checkpoint=None),
        custom_hooks=[hook],
        experiment_name='_'.join(least),
        log_level='ERROR',
    )
    runner.train()
    return [float(f'{rate:.3g}') for rate in hook.seen]


found = {
    'eta_min=0.0002': rates(eta_min=0.0002),
    'eta_min_ratio=0.05': rates(eta_min_ratio=0.05),
}
print(f'mmengine {mmengine.__version__}: lr=0.004 for batches of 256, in batches of 2:')
for how, seen in found.items():
    print(f'{how}: the rate at the start of each epoch is {seen}')
rising, falling = found.values()
rose = rising == [3.13e-05, 5.6e-05, 0.000116, 0.000175, 0.0002]
fell = falling == sorted(falling, reverse=True) and falling[-1] == 1.56e-06
raise SystemExit(not (rose and fell))
PYTHON
