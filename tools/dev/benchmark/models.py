"""Training steps, plain and with DropBlock: of RetinaNet, and of RetinaSeg."""

from __future__ import annotations

import copy
import importlib.util
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dropblock_mm import config_path, inject_drop_block, resolve_config
from dropblock_mm.layers.scheduled_drop import ScheduledDrop
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Settings

if TYPE_CHECKING:
    from mmengine.model import BaseModel

CONFIG = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
SEGMENTATION = 'digit_scenes/retinaseg_r18_fpn_digit-scenes.py'
HEAD_BLOCK, HEAD_KEEP_PROB = 16, 0.2  # the paper's best in the head (Table 4)
FRAGMENT = '_base_/dropblock/resnet_c4c5.py'
PLAIN, OURS, PLUGIN = 'plain', 'dropblock_mm, 36 sites', "mmdet's plugin, 27 sites"
PRODUCT, FACTOR = 'x * c, 36 sites', 1.1
HEAD = 'dropblock_mm in the head'
POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')


class TrainingStep:
    """A whole step when called: preprocessor, forward, backward and optimizer.

    Args:
        model: The model, which it puts into training mode on the device.
        batch: What a data loader would give.
        device: 'cpu' or 'cuda'.
    """

    def __init__(self, model: BaseModel, batch: dict[str, Any], device: str) -> None:
        from mmengine.optim import OptimWrapper

        self.model = model.train().to(device)
        self.batch = batch
        trained = [p for p in model.parameters() if p.requires_grad]
        self.optim_wrapper = OptimWrapper(torch.optim.SGD(trained, lr=1e-6))

    def __call__(self) -> object:
        """Do the step."""
        return self.model.train_step(self.batch, self.optim_wrapper)


def has_mmdet() -> bool:
    """Whether mmdet is installed, of either stack."""
    return importlib.util.find_spec('mmdet') is not None


def has_mmseg() -> bool:
    """Whether mmseg is installed, of either stack."""
    return importlib.util.find_spec('mmseg') is not None


def training_steps(settings: Settings, image_size: int) -> dict[str, TrainingStep]:
    """Build three RetinaNets, with equal weights and inputs, and return their steps."""
    torch.manual_seed(0)
    plain = retinanet(settings.width)
    dropped = copy.deepcopy(plain)
    plugged = retinanet(settings.width, mmdet_plugins())
    plugged.load_state_dict(plain.state_dict())
    found = {PLAIN: plain, OURS: dropped, PLUGIN: plugged}
    check_sites(len(inject(dropped)), count_plugins(plugged))
    return {
        name: TrainingStep(model, random_batch(settings, image_size), settings.device)
        for name, model in found.items()
    }


def multiplying(step: TrainingStep, device: str) -> TrainingStep:
    """Return a step whose sites multiply by a constant where those of another drop.

    A pass over each map is the least that anything there takes.
    """
    model = copy.deepcopy(step.model)
    for module in model.modules():
        if isinstance(module, ScheduledDrop):
            module.forward = lambda x: x * FACTOR  # type: ignore[method-assign]
    return TrainingStep(model, step.batch, device)


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


def segmentation_steps(settings: Settings) -> dict[str, TrainingStep]:
    """Build two RetinaSegs on a ResNet-18, one with DropBlock in its head."""
    from mmengine.config import Config
    from mmengine.registry import MODELS

    torch.manual_seed(0)
    cfg = Config.fromfile(config_path(SEGMENTATION)).model
    plain = MODELS.build({**cfg, '_scope_': 'mmseg'})
    dropped = copy.deepcopy(plain)
    inject_drop_block(
        dropped,
        [dict(module='decode_head')],
        block_size=HEAD_BLOCK,
        keep_prob=HEAD_KEEP_PROB,
    )
    batch = labelled_batch(settings, cfg.decode_head.num_classes)
    return {
        name: TrainingStep(model, batch, settings.device)
        for name, model in ((PLAIN, plain), (HEAD, dropped))
    }


def labelled_batch(settings: Settings, classes: int) -> dict[str, Any]:
    """Return images and labels of noise, the same ones every time."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    size = (settings.image_size, settings.image_size)
    images = [torch.randint(0, 256, (3, *size)) for _ in range(settings.batch_size)]
    samples = []
    for _ in images:
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_sem_seg = PixelData(data=torch.randint(0, classes, (1, *size)))
        samples.append(sample)
    return {'inputs': images, 'data_samples': samples}
