"""From a config to a runner: what is set, and what the machine needs."""

from dropblock_mm.runs.amp import enable_amp
from dropblock_mm.runs.resuming import advance_sampler_alone
from dropblock_mm.runs.runner import build_runner
from dropblock_mm.runs.settings import (
    enable_auto_scale_lr,
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
    'enable_auto_scale_lr',
    'library_of',
    'load_config',
    'merge_options',
    'prepare_library',
    'require',
    'save_whole_checkpoints',
    'set_resume',
    'set_work_dir',
    'type_name',
    'whole_model',
]
