import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from dropblock_mm.runs import amp

GPU, CPU, PHONE = (True, 'cuda'), (False, 'cpu'), (False, 'mps')


@pytest.fixture
def on(monkeypatch):
    """A function that pretends to be on a device."""

    def pretend(device):
        monkeypatch.setattr(amp, 'has_accelerator', lambda: device[0])
        monkeypatch.setattr(amp, 'get_device', lambda: device[1])

    return pretend


def enabled(**wrapper):
    cfg = Config(dict(optim_wrapper=dict(wrapper)))
    amp.enable_amp(cfg)
    return cfg.optim_wrapper


def test_on_a_gpu(on):
    on(GPU)
    expected = dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert enabled(type='OptimWrapper') == expected
    assert enabled(clip_grad=None) == dict(clip_grad=None, **expected)


def test_on_the_cpu(on):
    on(CPU)
    expected = dict(type='CpuAmpOptimWrapper', loss_scale='dynamic')
    assert enabled(type='OptimWrapper') == dict(dtype='bfloat16', **expected)
    half = enabled(type='OptimWrapper', dtype='float16')
    assert half == dict(dtype='float16', **expected)


@pytest.mark.parametrize('device', [GPU, CPU])
def test_what_the_config_set_up_stays(on, device):
    on(device)
    own = dict(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=512.0)
    expected = own if device[0] else own | dict(type='CpuAmpOptimWrapper')
    assert enabled(**own) == expected


def test_a_config_with_mixed_precision_without_the_option(on):
    on(CPU)
    cfg = Config(dict(optim_wrapper=dict(type=AmpOptimWrapper)))
    amp.fit_amp_to_device(cfg)
    assert cfg.optim_wrapper == dict(type='CpuAmpOptimWrapper', dtype='bfloat16')


@pytest.mark.parametrize('wrapper', [None, dict(type='OptimWrapper')])
def test_nothing_to_fit(on, wrapper):
    on(CPU)
    cfg = Config(dict(optim_wrapper=wrapper))
    amp.fit_amp_to_device(cfg)
    assert cfg.optim_wrapper == wrapper


@pytest.mark.parametrize(
    ('config', 'text'),
    [
        (dict(optim_wrapper=dict(type='ApexOptimWrapper')), 'ApexOptimWrapper'),
        (dict(), 'no optim_wrapper'),
    ],
)
def test_other_wrappers_are_refused(config, text):
    with pytest.raises(ValueError, match=f'--amp .*{text}'):
        amp.enable_amp(Config(config))


def test_other_devices_are_refused(on):
    on(PHONE)
    with pytest.raises(ValueError, match=r"--amp.*the device is 'mps'"):
        enabled(type='OptimWrapper')


def test_proposals_are_refused_on_the_cpu_alone(on):
    model = dict(detector=dict(rpn_head=dict(type='RPNHead')))
    cfg = Config(dict(model=model, optim_wrapper=dict(type='AmpOptimWrapper')))
    on(GPU)
    amp.fit_amp_to_device(cfg)
    on(CPU)
    with pytest.raises(ValueError, match=r"model\.detector\.rpn_head\.type='RPNHead'"):
        amp.fit_amp_to_device(cfg)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_proposals_do_fail_in_mixed_precision(dtype):
    """Why they are refused: mmdet 3.3.0 with mmcv 2.1.0."""
    from mmdet.models.dense_heads import RPNHead

    torch.manual_seed(0)
    proposals = dict(nms_pre=9, max_per_img=9, min_bbox_size=0)
    proposals['nms'] = dict(type='nms', iou_threshold=0.7)
    head = RPNHead(4, test_cfg=Config(proposals))
    maps = [torch.randn(1, 4, 4, 4) for _ in range(5)]
    images = [dict(img_shape=(64, 64), scale_factor=(1, 1))]
    assert len(head.predict_by_feat(*head(maps), batch_img_metas=images)[0])
    with torch.autocast('cpu', dtype=getattr(torch, dtype)):
        scores = head(maps)
        with pytest.raises(RuntimeError, match='expected scalar type Float'):
            head.predict_by_feat(*scores, batch_img_metas=images)


def test_other_dtypes_are_refused(on):
    on(CPU)
    with pytest.raises(ValueError, match=r"optim_wrapper\.dtype='int8' is not one of"):
        enabled(type='OptimWrapper', dtype='int8')


@pytest.mark.parametrize(
    ('dtype', 'loss_scale', 'scale'),
    [
        ('bfloat16', 'dynamic', 1.0),
        ('float16', 512.0, 512.0),
        (torch.float16, dict(init_scale=8.0), 8.0),
    ],
)
def test_loss_scale(dtype, loss_scale, scale):
    weights = torch.nn.Parameter(torch.ones(2))
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='CpuAmpOptimWrapper', dtype=dtype, loss_scale=loss_scale),
        default_args=dict(optimizer=torch.optim.SGD([weights], lr=1.0)),
    )
    wrapper.backward((3 * weights).sum())
    assert weights.grad.tolist() == [3 * scale] * 2
    wrapper.step()
    assert weights.tolist() == [-2.0, -2.0]
    wrapper.load_state_dict(wrapper.state_dict())
