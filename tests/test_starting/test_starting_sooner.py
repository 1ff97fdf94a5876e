"""What starting sooner leaves out, in a process that builds a detector."""

import gc
import subprocess
import sys

from dropblock_mm.starting import starting_sooner

CODE = """
import sys
from dropblock_mm.starting import starting_sooner
with starting_sooner():
    import mmdet.models, mmdet.datasets, mmdet.evaluation, mmengine.runner
    from mmengine.utils.dl_utils import collect_env
    version = collect_env().get('TorchVision')
late = {'scipy', 'sklearn', 'matplotlib.pyplot', 'torchvision'}
print(sorted(late & set(sys.modules)), version)
from mmdet.models.task_modules.assigners import hungarian_assigner as module
print(module.linear_sum_assignment([[1, 0], [0, 1]])[1].tolist())
"""


def test_the_libraries_load_without_what_is_seldom_used():
    done = subprocess.run([sys.executable, '-c', CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[-2:]
    assert first.startswith('[] ')
    assert second == '[1, 0]'


def test_garbage_is_collected_again_afterwards():
    with starting_sooner():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()
