#!/usr/bin/env bash
# mmengine 0.10.7: a run of FlexibleRunner with EMAHook cannot be resumed.
#
# A good guess: what Runner resumes, FlexibleRunner resumes too; both take the same
# hooks, and the checkpoint of the one run is as whole as that of the other. It does
# not: it loads the checkpoint before it calls `before_run`, in which EMAHook makes the
# averaged model that the hook then wants to load into. A long training that averages
# its weights, under FSDP for example, ends with the first interruption.
#
# Seen: Runner resumes; FlexibleRunner: AttributeError: 'EMAHook' object has no
# attribute 'ema_model'.
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
import functools

import mmengine
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner._flexible_runner import FlexibleRunner
from torch.utils.data import Dataset

# mmengine's checkpoints hold classes of its own, which torch does not read by default.
torch.load = functools.partial(torch.load, weights_only=False)


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

    def forward(self, inputs):
        return {'loss': self.layer(inputs).square().mean()}

    def train_step(self, data, optim_wrapper):
        losses = self(data)
        optim_wrapper.update_params(losses['loss'])
        return losses


def train(kind, epochs, resume):
    runner = kind(
        model=Model(),
        work_dir=kind.__name__,
        train_dataloader=dict(
            dataset=Numbers(),
            batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='EMAHook')],
        resume=resume,
        experiment_name=f'{kind.__name__}_{epochs}',
        log_level='ERROR',
    )
    runner.train()


def resumed(kind):
    train(kind, 1, resume=False)
    try:
        train(kind, 2, resume=True)
    except AttributeError as error:
        return f'AttributeError: {error}'
    return 'resumes'


found = [resumed(kind) for kind in (Runner, FlexibleRunner)]
print(f'mmengine {mmengine.__version__}: Runner {found[0]}; FlexibleRunner: {found[1]}')
expected = "AttributeError: 'EMAHook' object has no attribute 'ema_model'"
raise SystemExit(found != ['resumes', expected])
PYTHON
