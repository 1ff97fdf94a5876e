"""A new regulariser is one file in the folder of layers, and named nowhere else."""

import subprocess
import sys

NOISE = '''
import torch

from dropblock_mm.layers.scheduled_drop import ScheduledDrop


class ColumnDropout(ScheduledDrop):
    """Drops whole columns of feature maps."""

    _abbr_ = 'column_dropout'
    where = 'shortcut'

    def __init__(self, *, keep_prob, width=1, drop_scale=1.0, in_channels=None):
        super().__init__(keep_prob=keep_prob, drop_scale=drop_scale)
        self.width = width

    def settings(self):
        return {'width': self.width, **super().settings()}

    def drop(self, x, keep_prob):
        chance = 1 - self.drop_scale * (1 - keep_prob)
        kept = torch.rand(*x.shape[:2], 1, x.shape[3]) < chance
        return x * kept / chance, kept.sum() * x.shape[2]

    def expected_keep_rate(self, keep_prob, size):
        return 1 - self.drop_scale * (1 - keep_prob)
'''
# It imports the folder of layers as if the file were in it.
SCRIPT = """
import importlib.util, sys

name = 'dropblock_mm.layers'
spec = importlib.util.find_spec(name)
spec.submodule_search_locations.append(sys.argv[1])
sys.modules[name] = layers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(layers)

import torch
from mmengine.registry import HOOKS, MODELS
from dropblock_mm import inject
from dropblock_mm.analysis.sites.site_rows import map_row, site_row
from dropblock_mm.injection import format_sites
from dropblock_mm.testing.toy_blocks import BasicBlock

block = BasicBlock().train()
sites = inject(block, [dict(module='')], layer='ColumnDropout', keep_prob=.5, width=3)
block(torch.randn(9, 4, 9, 9))
layer = block.downsample
assert 0 < layer.kept_units < layer.seen_units
print(format_sites(sites))
row = site_row(sites[0], keep_prob=1.0)
print(row.layer, row.options, map_row(layer, row.keep_prob, (4, 9, 9)))
hook = HOOKS.build(dict(
    type='dropblock_mm.InjectionHook', layer='ColumnDropout', keep_prob=.5,
    targets=[dict(module='backbone')]))
print(hook.targets[0].layer.__name__, MODELS.get('dropblock_mm.ColumnDropout').__name__)
"""


def test_one_more_file_is_one_more_layer(tmp_path, repo_root):
    (tmp_path / 'column_dropout.py').write_text(NOISE)
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(tmp_path)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    title, _, header, _, site, row, names = done.stdout.splitlines()
    assert title == 'ColumnDropout at 1 site'
    assert header.split() == ['module', 'place', 'width', 'options']
    assert site.split() == ['shortcut', '3', 'keep_prob', '0.5']
    assert row.startswith("ColumnDropout {'width': 3, 'drop_scale': 1.0} MapRow(")
    assert 'expected_keep_rate=0.5' in row
    assert names == 'ColumnDropout ColumnDropout'
