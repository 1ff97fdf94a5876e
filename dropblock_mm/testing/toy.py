"""A toy model on a real ResNet, and a toy run of a few iterations on the CPU."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, METRICS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

from dropblock_mm.registry import DATASETS, MODELS

IMAGE_SIZE = 32
_run_number = itertools.count()

# For tools that read configs: 3 epochs of 4 iterations, everything in one process.
TOY_CONFIG = """
custom_imports = dict(imports=['dropblock_mm.testing.toy'])
default_scope = 'mmengine'
model = dict(type='dropblock_mm.toy_classifier')
train_dataloader = dict(
    batch_size=2,
    dataset=dict(type='dropblock_mm.ToyImages'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
)
train_cfg = dict(by_epoch=True, max_epochs=3)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
param_scheduler = dict(type='LinearLR', by_epoch=False, end=12)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1),
)
randomness = dict(seed=0)
"""


# Of mmdet, whose ResNet it has: what is forked for it has mmdet imported.
EVALUATED_TOY_CONFIG = f"""{TOY_CONFIG.replace('mmengine', 'mmdet')}
val_dataloader = dict(
    batch_size=4,
    dataset=dict(type='dropblock_mm.ToyImages', length=16),
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)
val_cfg = dict()
val_evaluator = dict(type='ToyAccuracy')
"""


@HOOKS.register_module()
class HeldHook(Hook):
    """Holds a training back until a file is there, so that it can be interrupted.

    Args:
        file: The file.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def before_train(self, runner: Runner) -> None:
        """Wait."""
        while not self.file.exists():
            time.sleep(0.01)


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    """The share of right answers in percent, and of those that say 1."""

    def process(self, data_batch: Any, data_samples: Sequence[Tensor]) -> None:
        """Keep the answers of a batch beside the truth."""
        truth = data_batch['data_samples']
        self.results += [
            (int(logits.argmax()), int(label))
            for logits, label in zip(data_samples, truth, strict=True)
        ]

    def compute_metrics(self, results: list[tuple[int, int]]) -> dict[str, float]:
        """Return both shares."""
        right = sum(answer == truth for answer, truth in results)
        ones = sum(answer for answer, _ in results)
        return {
            'toy/accuracy': 100.0 * right / len(results),
            'toy/ones': 100.0 * ones / len(results),
        }


class ToyClassifier(BaseModel):
    """A backbone, global average pooling and a linear layer for two classes.

    Args:
        backbone: A module that maps Tensor[N, 3, H, W] to a sequence of maps.
        channels: Channels of the last map.
    """

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(channels, 2)

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Return the loss, or the logits Tensor[N, 2] in the other modes."""
        logits = self.head(self.backbone(inputs)[-1].mean(dim=(2, 3)))
        if mode == 'loss':
            return {'loss': nn.functional.cross_entropy(logits, data_samples)}
        return logits


@DATASETS.register_module()
class ToyImages(Dataset):
    """Random images whose class is the sign of their mean; fixed by index."""

    def __init__(self, length: int = 8) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        image = torch.randn(3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
        return {'inputs': image + index % 2 - 0.5, 'data_samples': index % 2}


def toy_resnet(depth: int = 18, **options: Any) -> nn.Module:
    """Build mmdet's ResNet with 8 channels at its base instead of 64."""
    from mmdet.models.backbones import ResNet

    return ResNet(depth=depth, base_channels=8, stem_channels=8, **options)


@MODELS.register_module()
def toy_classifier(depth: int = 18, **options: Any) -> ToyClassifier:
    """Build a :class:`ToyClassifier` on :func:`toy_resnet`."""
    return ToyClassifier(toy_resnet(depth, **options), 64 if depth < 50 else 256)


def toy_runner(
    work_dir: str | Path,
    custom_hooks: Sequence[dict[str, Any]],
    *,
    model: nn.Module | None = None,
    train_cfg: dict[str, Any] | None = None,
    optim_wrapper: dict[str, Any] | None = None,
    dataset: Dataset | None = None,
    batch_size: int = 2,
    checkpoint_interval: int = 1,
    checkpoint: Mapping[str, Any] | None = None,
    **runner_options: Any,
) -> Runner:
    """Build a runner of 2 epochs of 4 iterations, that logs every iteration.

    Args:
        work_dir: Folder for logs and checkpoints.
        custom_hooks: The hooks under test.
        model: The model; :func:`toy_classifier` if None.
        train_cfg: The loop; by epoch if None.
        optim_wrapper: The optimizer; plain SGD if None.
        dataset: What to train on; :class:`ToyImages` if None.
        batch_size: Images for each process.
        checkpoint_interval: In epochs, or iterations where the loop counts those.
        checkpoint: Other arguments of the checkpoint hook, or another ``type``.
        **runner_options: Passed to MMEngine's Runner, which rejects unknown ones.
    """
    train_cfg = train_cfg or {'by_epoch': True, 'max_epochs': 2}
    by_epoch = train_cfg['by_epoch']
    return Runner(
        model=model or toy_classifier(),
        work_dir=str(work_dir),
        train_dataloader={
            'dataset': dataset or ToyImages(),
            'batch_size': batch_size,
            'sampler': {
                'type': 'DefaultSampler' if by_epoch else 'InfiniteSampler',
                'shuffle': True,
            },
            'collate_fn': {'type': 'pseudo_collate' if dataset else 'default_collate'},
        },
        train_cfg=train_cfg,
        optim_wrapper=optim_wrapper or {'optimizer': {'type': 'SGD', 'lr': 0.01}},
        custom_hooks=list(custom_hooks),
        default_hooks={
            'logger': {'type': 'LoggerHook', 'interval': 1},
            'checkpoint': {
                'type': 'CheckpointHook',
                'interval': checkpoint_interval,
                'by_epoch': by_epoch,
                **(checkpoint or {}),
            },
        },
        # MMEngine keeps one logger and message hub for each experiment name.
        experiment_name=f'toy_{next(_run_number)}',
        log_level='WARNING',
        **runner_options,
    )
