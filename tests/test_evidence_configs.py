"""The configs of configs/evidence: what is chosen on what, and the arms."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from dropblock_mm.hooks.fragments import add_fragment
from dropblock_mm.injection import inject_targets
from dropblock_mm.registry import HOOKS

CONFIG_DIR = Path(__file__).resolve().parents[1] / 'configs'
ARMS = CONFIG_DIR / '_base_/evidence'
CLOTHES = 'resnet18_clothing-600_96px'
# Photographs that are trained on, that results are from, and that are chosen by.
STUDIES = {
    CLOTHES: ('clothing', 600, 2840, 341),
    'retinanet_r18_fpn_bccd-41': ('bccd', 41, 236, 87),
}


def images(loader, root):
    """Return the paths of a loader's images, with the data in another folder."""

    def moved(dataset):
        for key in ('dataset', 'datasets'):
            inner = dataset.get(key) or []
            for part in [inner] if isinstance(inner, dict) else inner:
                moved(part)
        if 'data_root' in dataset:
            dataset.data_root = str(root)
            dataset.pipeline = []

    moved(loader.dataset)
    dataset = DATASETS.build(loader.dataset)
    dataset.full_init()
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


@pytest.mark.parametrize('name', STUDIES)
def test_what_is_chosen_by_is_neither_trained_on_nor_counted(name, shared_data):
    folder, *numbers = STUDIES[name]
    config = Config.fromfile(CONFIG_DIR / f'evidence/{name}.py')
    tuning = Config.fromfile(CONFIG_DIR / f'evidence/{name}_tuning.py')
    init_default_scope(config.default_scope)
    assert tuning.train_dataloader == config.train_dataloader
    loaders = config.train_dataloader, config.val_dataloader, tuning.val_dataloader
    found = [images(loader, shared_data / folder) for loader in loaders]
    assert [len(paths) for paths in found] == numbers
    assert len(set().union(*found)) == sum(numbers), 'no image is in two'


def test_classes_are_trained_on_alike(shared_data):
    config = Config.fromfile(CONFIG_DIR / f'evidence/{CLOTHES}.py')
    init_default_scope(config.default_scope)
    found = images(config.train_dataloader, shared_data / 'clothing')
    every = list((shared_data / 'clothing/train').glob('*/*.jpg'))
    for label in {Path(path).parent.name for path in found}:
        share = sum(Path(path).parent.name == label for path in found) / 600
        all_of_it = sum(path.parent.name == label for path in every) / len(every)
        assert share == pytest.approx(all_of_it, abs=0.002)


@pytest.mark.parametrize(
    'arm',
    [
        name + end
        for name in ('dropblock', 'dropout', 'spatial_dropout')
        for end in ('', '_constant')
    ],
)
def test_arms_drop_equally_much_at_the_same_sites(arm):
    config = Config.fromfile(CONFIG_DIR / f'evidence/{CLOTHES}.py')
    init_default_scope(config.default_scope)
    config = add_fragment(config, str(ARMS / f'{arm}.py'))
    injection, schedule = map(HOOKS.build, config.custom_hooks)
    model = MODELS.build(config.model).train()
    sites = inject_targets(model, injection.targets)
    assert len(sites) == 12  # in 4 blocks: 2 convolutions and a shortcut
    assert schedule.schedule == ('constant' if arm.endswith('_constant') else 'linear')
    for site in sites:
        site.layer.set_keep_prob(schedule.keep_prob)
    torch.manual_seed(0)
    for _ in range(4):
        model.backbone(torch.randn(32, 3, 96, 96))
    kept, seen = (
        sum(int(getattr(site.layer, key)) for site in sites)
        for key in ('kept_units', 'seen_units')
    )
    assert kept / seen == pytest.approx(schedule.keep_prob, abs=0.004)
