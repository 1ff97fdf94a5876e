"""RetinaNet's training step, plain and with DropBlock."""

from __future__ import annotations

import copy
import importlib.util
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dropblock_mm import config_path, inject_drop_block, resolve_config
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Settings
from tools.dev.benchmark.timing import Call

if TYPE_CHECKING:
    from mmengine.model import BaseModel

CONFIG = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
FRAGMENT = '_base_/dropblock/resnet_c4c5.py'
PLAIN, OURS, PLUGIN = 'plain', 'dropblock_mm, 36 sites', "mmdet's plugin, 27 sites"
POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')


def has_mmdet() -> bool:
    """Whether mmdet is installed, of either stack."""
    return importlib.util.find_spec('mmdet') is not None


def training_steps(settings: Settings, image_size: int) -> dict[str, Call]:
    """Build the three models, with equal weights and inputs.

    Returns:
        dict[str, Call]: A whole training step of each: the preprocessor, forward,
        backward and the optimizer's step.
    """
    torch.manual_seed(0)
    plain = retinanet(settings.width)
    dropped = copy.deepcopy(plain)
    plugged = retinanet(settings.width, mmdet_plugins())
    plugged.load_state_dict(plain.state_dict())
    found = {PLAIN: plain, OURS: dropped, PLUGIN: plugged}
    check_sites(len(inject(dropped)), count_plugins(plugged))
    return {
        name: training_step(model, random_batch(settings, image_size), settings.device)
        for name, model in found.items()
    }


def retinanet(width: int, plugins: list[dict[str, Any]] | None = None) -> BaseModel:
    """Build mmdet's RetinaNet on a ResNet-50-FPN from its config, at random.

    Args:
        width (int): Channels of the first stage; the config has 64.
        plugins (list[dict] | None): Of mmdet, for the backbone.
    """
    from mmengine.config import Config
    from mmengine.registry import MODELS

    cfg = Config.fromfile(resolve_config(CONFIG)).model
    cfg.backbone.init_cfg = None
    cfg.backbone.plugins = plugins
    cfg.backbone.base_channels = width
    cfg.neck.in_channels = [width * 4 * 2**stage for stage in range(4)]
    cfg.neck.out_channels = 4 * width
    cfg.bbox_head.update(in_channels=4 * width, feat_channels=4 * width)
    model = MODELS.build({**cfg, 'type': 'mmdet.RetinaNet', '_scope_': 'mmdet'})
    # Frozen norms that do not normalise would let random features overflow.
    for name, module in model.backbone.named_modules():
        if name.endswith(('bn3', 'downsample.1')):
            nn.init.constant_(module.weight, 0.2)
    return model


def inject(model: nn.Module) -> list[Any]:
    """Attach DropBlock at the paper's sites, by the packaged fragment."""
    from mmengine.config import Config

    hook = Config.fromfile(config_path(FRAGMENT)).custom_hooks[0]
    return inject_drop_block(
        model, hook['targets'], block_size=hook['block_size'], keep_prob=KEEP_PROB
    )


def mmdet_plugins() -> list[dict[str, Any]]:
    """Configure mmdet's DropBlock wherever its ResNet takes a plugin.

    That is after the three convolutions of each block, with a name of its own for
    each. The skip connection cannot be reached, and the rate of layer3 is a quarter
    by hand.
    """
    stages = {(False, False, True, False): 0.25, (False, False, False, True): 1.0}
    return [
        dict(
            cfg=dict(
                type='DropBlock',
                drop_prob=scale * (1.0 - KEEP_PROB),
                block_size=BLOCK_SIZE,
                warmup_iters=0,
                postfix=f'_{position}',
            ),
            stages=where,
            position=position,
        )
        for where, scale in stages.items()
        for position in POSITIONS
    ]


def count_plugins(model: nn.Module) -> int:
    """Return the number of mmdet's DropBlocks in a model."""
    return sum(type(module).__name__ == 'DropBlock' for module in model.modules())


def check_sites(ours: int, theirs: int) -> None:
    """Make sure that the names in the tables say how many sites there are."""
    if (ours, theirs) != (36, 27):
        raise RuntimeError(
            f'found {ours} sites of ours and {theirs} of mmdet, expected 36 and 27: '
            'the config or the fragment has changed.'
        )


def random_batch(settings: Settings, image_size: int) -> dict[str, Any]:
    """Return images of noise with a few boxes, the same ones every time."""
    from mmdet.testing import demo_mm_inputs

    shapes = [(3, image_size, image_size)] * settings.batch_size
    return demo_mm_inputs(
        settings.batch_size, image_shapes=shapes, num_items=[5] * settings.batch_size
    )


def training_step(model: BaseModel, batch: dict[str, Any], device: str) -> Call:
    """Return a call that does one training step."""
    from mmengine.optim import OptimWrapper

    model.train()
    model.to(device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optim_wrapper = OptimWrapper(torch.optim.SGD(trained, lr=1e-6))
    return lambda: model.train_step(batch, optim_wrapper)
