"""The model of Table 1 (sources: conftest.py)."""

import math

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from dropblock_mm.models.backbones.tpu_resnet import SameMaxPool2d, variance_scaling_


def convolutions(model):
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


def narrow(config):
    """The backbone with an eighth of the channels, which is filled in a moment."""
    return {**config.model.backbone, 'base_channels': 8, 'stem_channels': 8}


def test_size(model):
    """ResNet-50: 25,557,032 parameters with 1000 classes."""
    assert sum(p.numel() for p in model.parameters()) == 25_557_032
    assert sum(p.numel() for p in model.backbone.parameters()) == 23_508_032
    assert len(convolutions(model)) == 53
    assert model.head.num_classes == 1000


def test_convolutions_have_no_bias(model):
    """TPU model: conv2d_fixed_padding, use_bias=False."""
    assert all(conv.bias is None for conv in convolutions(model))


def test_strided_convolutions_pad_both_sides_alike(model):
    """TPU model: fixed_padding, of (kernel - 1) // 2 units in front."""
    strided = [conv for conv in convolutions(model) if max(conv.stride) > 1]
    for conv in strided:
        assert conv.stride == (2, 2)
        assert conv.padding == ((conv.kernel_size[0] - 1) // 2,) * 2
    assert len(strided) == 1 + 3 + 3  # stem, blocks, projections


def test_the_stride_of_a_block_is_on_its_3x3_convolution(model):
    """TPU model: bottleneck_block."""
    for stage in (model.backbone.layer2, model.backbone.layer3, model.backbone.layer4):
        assert stage[0].conv1.stride == (1, 1)
        assert stage[0].conv2.stride == (2, 2)


@pytest.mark.parametrize('size', [(6, 6), (7, 7), (5, 8), (112, 1), (2, 2)])
def test_the_first_pooling_is_padded_as_in_tensorflow(size):
    """TPU model: max_pooling2d(pool_size=3, strides=2, padding='SAME').

    'SAME' takes ceil(n / 2) windows, and adds what they lack at both ends, the odd unit
    at the far one.
    """
    x = torch.randn(2, 3, *size)
    lacks = [(math.ceil(n / 2) - 1) * 2 + 3 - n for n in reversed(size)]
    pads = [side for lack in lacks for side in (lack // 2, lack - lack // 2)]
    padded = nn.functional.pad(x, pads, value=-math.inf)
    expected = nn.functional.max_pool2d(padded, 3, 2)
    assert torch.equal(SameMaxPool2d()(x), expected)
    assert expected.shape[2:] == tuple(math.ceil(n / 2) for n in size)


def test_it_is_the_pooling_of_the_model(model):
    assert isinstance(model.backbone.maxpool, SameMaxPool2d)
    at_the_left = torch.zeros(1, 1, 112, 112)
    at_the_left[..., 0, 0] = 1.0
    at_the_left[..., 2, 2] = 2.0
    # PyTorch's padding on both sides would keep the 2 out of the first window.
    assert model.backbone.maxpool(at_the_left)[0, 0, 0, 0] == 2.0


def test_normalisation(model):
    """TPU model: BATCH_NORM_DECAY = 0.9, BATCH_NORM_EPSILON = 1e-5."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.1, 1e-5)}
    assert all(norm.affine and norm.weight.requires_grad for norm in norms)
    assert len(norms) == 53


def test_the_last_norm_of_a_block_starts_at_zero(model):
    """TPU model: batch_norm_relu(inputs, ..., init_zero=True)."""
    blocks = [m for m in model.modules() if type(m).__name__ == 'Bottleneck']
    zero = {id(block.norm3) for block in blocks}
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert torch.all(module.weight == (id(module) not in zero))
            assert not module.bias.any()
    assert len(zero) == 16


def test_weights_start_from_a_truncated_normal_distribution(model):
    """TPU model: tf.variance_scaling_initializer(), of variance 1 / fan-in."""
    for conv in convolutions(model):
        fan_in = conv.weight[0].numel()
        # Five standard errors; the fourth moment is below the normal one's, 3.
        tolerance = 5 * math.sqrt(2 / conv.weight.numel())
        variance = conv.weight.var().item() * fan_in
        assert variance == pytest.approx(1.0, abs=tolerance)
        assert conv.weight.abs().max() * math.sqrt(fan_in) <= 2 / 0.87962


def test_the_distribution_is_cut_off_at_two_standard_deviations():
    weight = torch.empty(512, 64, 3, 3)
    variance_scaling_(weight)
    standard = weight.flatten() * 0.8796256610342398 * math.sqrt(64 * 9)
    assert 1.99 < standard.abs().max() <= 2.0
    shares = [(standard.abs() < limit).double().mean().item() for limit in (0.5, 1.0)]
    inside = [math.erf(limit / math.sqrt(2)) for limit in (0.5, 1.0, 2.0)]
    for share, expected in zip(shares, (p / inside[2] for p in inside), strict=False):
        assert share == pytest.approx(expected, abs=5 * 0.5 / math.sqrt(len(standard)))


def test_a_second_call_leaves_trained_weights_alone(read):
    """MMEngine calls it once more when a checkpoint is there to be resumed."""
    model = MODELS.build(narrow(read('none')))
    model.init_weights()
    before = {k: v.clone() for k, v in model.state_dict().items() if 'bn3' not in k}
    model.init_weights()
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_the_keys_are_mmpretrains(model):
    theirs = MODELS.build({'type': 'mmpretrain.ResNet', 'depth': 50})
    ours = model.backbone.state_dict()
    assert {k: v.shape for k, v in theirs.state_dict().items()} == {
        key: value.shape for key, value in ours.items()
    }


def test_weights_of_a_file_are_not_filled_anew(tmp_path, read):
    config = narrow(read('none'))
    source = MODELS.build(config)
    source.init_weights()
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    weights = dict(type='Pretrained', checkpoint=str(tmp_path / 'weights.pth'))
    model = MODELS.build({**config, 'init_cfg': weights})
    model.init_weights()
    expected = source.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in model.state_dict().items())


def test_classifier(model):
    """TPU model: dense with N(0, .01), bias 0; no dropout before it."""
    assert type(model.neck).__name__ == 'GlobalAveragePooling'
    layer = model.head.fc
    assert (layer.in_features, layer.out_features) == (2048, 1000)
    assert layer.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert not layer.bias.any()
    assert not [m for m in model.modules() if isinstance(m, nn.Dropout)]


def test_loss(model):
    """TPU main: label_smoothing is 0 by default; the mean over the images."""
    scores, labels = torch.randn(4, 1000), torch.tensor([0, 7, 999, 7])
    expected = -scores.log_softmax(1)[range(4), labels].mean()
    torch.testing.assert_close(model.head.loss_module(scores, labels), expected)


def test_images_are_normalised_with_imagenets_colours(model):
    """TPU main: MEAN_RGB and STDDEV_RGB times 255; OpenCV's images are BGR."""
    preprocessor = model.data_preprocessor
    mean = torch.tensor([0.485, 0.456, 0.406]) * 255
    std = torch.tensor([0.229, 0.224, 0.225]) * 255
    image = torch.randint(0, 255, (1, 3, 4, 4), dtype=torch.uint8)
    out = preprocessor(dict(inputs=image))['inputs'][0]
    expected = (image[0].flip(0) - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(out, expected)
