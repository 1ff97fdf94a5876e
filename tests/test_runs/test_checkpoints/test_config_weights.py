import pytest
from mmengine.config import Config

from dropblock_mm.runs.checkpoints import config_weights


def test_every_checkpoint_is_checked(tmp_path):
    for part in ({'backbone': {'init_cfg': None}, 'pretrained': 'no.pth'}, {}):
        cfg = Config(dict(model=part, load_from=None if part else 'no.pth'))
        key = 'model.pretrained' if part else '--resume'
        with pytest.raises(FileNotFoundError, match=f"{key}='no.pth'"):
            config_weights.check_checkpoints(cfg, '--resume')


def test_pretrained_weights():
    model = {
        'backbone': {'init_cfg': {'type': 'Pretrained', 'checkpoint': 'a.pth'}},
        'neck': {'init_cfg': {'type': 'Xavier', 'layer': 'Conv2d'}},
        'heads': [{'init_cfg': [{'type': 'Pretrained', 'checkpoint': 'b.pth'}]}],
        'pretrained': 'c.pth',
    }
    assert list(config_weights.pretrained_weights(model)) == [
        ('model.pretrained', 'c.pth'),
        ('model.backbone.init_cfg.checkpoint', 'a.pth'),
        ('model.heads.0.init_cfg.0.checkpoint', 'b.pth'),
    ]
    assert list(config_weights.pretrained_weights({'pretrained': None})) == []


@pytest.mark.parametrize('installed', [True, False])
def test_torchvisions_weights_need_torchvision(installed, monkeypatch):
    monkeypatch.setattr(
        config_weights, 'find_spec', lambda name: object() if installed else None
    )
    monkeypatch.setattr(config_weights, 'import_module', lambda name: None)
    key = 'model.backbone.init_cfg.checkpoint'
    if installed:
        config_weights.check_torchvision('torchvision://resnet50', key)
        return
    with pytest.raises(
        ValueError, match=rf"{key}='torchvision://resnet50' needs the pa"
    ):
        config_weights.check_torchvision('torchvision://resnet50', key)


def test_a_torchvision_of_another_torch_is_refused_with_the_remedy(monkeypatch):
    def broken(name):
        raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.setattr(config_weights, 'find_spec', lambda name: object())
    monkeypatch.setattr(config_weights, 'import_module', broken)
    found = r"k='torchvision://resnet50' .*::nms does not exist\. Install the version"
    with pytest.raises(ValueError, match=found):
        config_weights.check_torchvision('torchvision://resnet50', 'k')
    config_weights.check_torchvision('resnet50.pth', 'k')
