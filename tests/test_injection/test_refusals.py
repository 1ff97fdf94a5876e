"""What is said where a target has no site."""

import pytest
from mmseg.models.backbones import ResNetV1c
from torch import nn

from dropblock_mm import inject_drop_block
from dropblock_mm.testing.toy_blocks import BasicBlock, inject_all


class DoubleConv(BasicBlock):
    """Without a sum and without what tells a residual block."""

    def __init__(self):
        super().__init__()
        del self.downsample

    def forward(self, x):
        return self.branch(x)


@pytest.mark.parametrize(
    ('module', 'why'),
    [
        (nn.Linear(4, 4), 'none of its modules is a convolution'),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.LayerNorm(4)), 'LayerNorm, of tokens'),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()),
            'none of its modules is a norm of feature maps',
        ),
        (DoubleConv(), 'its norms are in DoubleConv: no kind of block that .* knows'),
        (
            nn.Sequential(DoubleConv(), nn.LayerNorm(4)),
            'its norms are in DoubleConv: no kind',
        ),
    ],
)
def test_a_refusal_says_why(module, why):
    with pytest.raises(ValueError, match=rf'no site.*{why}.*register_block_adapter'):
        inject_all(module)


@pytest.mark.parametrize(
    ('target', 'text'),
    [
        (
            dict(module='0.downsample'),
            r"^targets\[0\]\.module='0\.downsample' .* names 0\.downsample "
            r'\(Sequential\), which has no site for DropBlock: it is a part of 0 '
            r'\(BasicBlock\), whose sites are shortcut, conv1 and conv2\. Name that',
        ),
        (dict(module=r'\d\.conv1'), r'0\.conv1 \(Conv2d\) and 1\.conv1 .* which have'),
        (
            dict(module='3', where='shortcut'),
            r"all sites there are of the kind 'conv'\. Give where='both'\.$",
        ),
        (dict(module='2.stem'), r'no site.*: it is in the stem of a ResNet'),
        (dict(module='2.stem.1'), r'no site.*: it is in the stem of a ResNet'),
    ],
)
def test_a_refusal_says_what_to_name_instead(target, text):
    unit = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    resnet = ResNetV1c(depth=18, base_channels=8)
    model = nn.Sequential(BasicBlock(4, 8), BasicBlock(8, 8), resnet, unit)
    with pytest.raises(ValueError, match=text):
        inject_drop_block(model, [target])
