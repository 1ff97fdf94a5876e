"""From a config to a runner: what is set, and what the machine needs."""

from dropblock_mm.runs.amp import enable_amp
from dropblock_mm.runs.resuming import advance_sampler_alone
from dropblock_mm.runs.runner import build_runner
from dropblock_mm.runs.scaled_rates import settle_auto_scale_lr
from dropblock_mm.runs.settings import (
    load_config,
    merge_options,
    prepare_library,
    require,
    save_whole_checkpoints,
    set_resume,
    set_work_dir,
    whole_model,
)
from dropblock_mm.runs.type_names import library_of, type_name

__all__ = [
    'advance_sampler_alone',
    'build_runner',
    'enable_amp',
    'library_of',
    'load_config',
    'merge_options',
    'prepare_library',
    'require',
    'save_whole_checkpoints',
    'set_resume',
    'set_work_dir',
    'settle_auto_scale_lr',
    'type_name',
    'whole_model',
]
