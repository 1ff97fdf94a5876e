"""What comes before the cells, and how large maps are after each part."""

from __future__ import annotations

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from dropblock_mm.models.backbones.amoebanet.operations import Norm

# The stem's two reduction cells have a quarter and half of the channels.
STEM_FACTORS = (0.25, 0.5)


class Stem(nn.Module):
    """A 3x3 convolution of stride 2 without padding, and a norm.

    No ReLU: whatever reads a state begins with one.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the map.
        norm: Config of the norm.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, bias=False)
        self.norm = build_norm_layer(norm, out_channels)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Compute Tensor[N, C, (H - 1) // 2, (W - 1) // 2] of Tensor[N, 3, H, W]."""
        return self.norm(self.conv(x))


def stack_sides(image_side: int) -> tuple[int, int, int]:
    """Return the side of the maps in each stack of normal cells.

    Args:
        image_side: Of square images, in pixels.

    Returns:
        tuple[int, int, int]: 42, 21 and 11 for 331 pixels.
    """
    side = (image_side - 1) // 2
    for _ in STEM_FACTORS:
        side = -(-side // 2)
    half = -(-side // 2)
    return side, half, -(-half // 2)
