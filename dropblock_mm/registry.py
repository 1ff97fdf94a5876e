"""Child registries of MMEngine's, under the scope ``dropblock_mm``.

MMEngine imports this module, and then ``locations``, the first time a config
says ``type='dropblock_mm.X'``, so a user's config needs no ``custom_imports``.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='dropblock_mm',
    locations=['dropblock_mm.hooks', 'dropblock_mm.runs.hooks'],
)
MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='dropblock_mm',
    locations=[
        'dropblock_mm.models',
        'dropblock_mm.models.backbones',
        'dropblock_mm.models.decode_heads',
        'dropblock_mm.models.heads',
    ],
)
OPTIMIZERS = Registry(
    'optimizer',
    parent=MMENGINE_OPTIMIZERS,
    scope='dropblock_mm',
    locations=['dropblock_mm.models.optimizers'],
)
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='dropblock_mm',
    locations=['dropblock_mm.datasets'],
)
LOOPS = Registry(
    'loop',
    parent=MMENGINE_LOOPS,
    scope='dropblock_mm',
    locations=['dropblock_mm.runs.resuming'],
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='dropblock_mm',
    locations=['dropblock_mm.datasets.transforms'],
)
