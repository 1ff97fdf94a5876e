"""Small blocks in plain torch, each of a kind that injection knows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dropblock_mm import inject_drop_block
from dropblock_mm.injection import Site


class BasicBlock(nn.Module):
    """As in torchvision and timm; ``slot`` names what holds the projection."""

    def __init__(
        self,
        inputs: int = 4,
        outputs: int = 4,
        slot: str = 'downsample',
        plain_shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.slot = slot
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if inputs != outputs:
            plain_shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs)
            )
        setattr(self, slot, plain_shortcut)

    def branch(self, x: Tensor) -> Tensor:
        """Return what is added to the skip connection."""
        return self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        projection: Any = getattr(self, self.slot)
        return torch.relu(self.branch(x) + (projection(x) if projection else x))


class PlainShortcutBlock(BasicBlock):
    """Its identity is an empty Sequential, as in many a ResNet for CIFAR."""

    def __init__(self) -> None:
        super().__init__(slot='shortcut', plain_shortcut=nn.Sequential())

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        shortcut: Any = self.shortcut
        return torch.relu(self.branch(x) + shortcut(x))


class PlainBlock(BasicBlock):
    """It has no attribute for a projection: its forward alone shows the sum."""

    def __init__(self) -> None:
        super().__init__()
        del self.downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        out = self.branch(x)
        out += x
        return nn.functional.relu(out)


class PreActivationBlock(nn.Module):
    """As timm's ResNetV2: the projection gets the normed input, the identity not."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample = None
        self.norm1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        normed = torch.relu(self.norm1(x))
        identity = x if self.downsample is None else self.downsample(normed)
        return identity + self.conv2(torch.relu(self.norm2(self.conv1(normed))))


class RegNetBlock(nn.Module):
    """As torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = None
        self.f = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        return torch.relu(self.f(x) + (x if self.proj is None else self.proj(x)))


class InvertedResidual(nn.Module):
    """As timm's, with units of a conv and a norm that no Sequential holds."""

    def __init__(self, has_skip: bool = True) -> None:
        super().__init__()
        self.has_skip = has_skip
        self.conv_pw, self.bn1 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.unit = ConvNormAct()

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        out = self.unit(torch.relu(self.bn1(self.conv_pw(x))))
        return x + out if self.has_skip else out


class ConvNormAct(nn.Module):
    """A unit as timm's and others', which is no Sequential."""

    def __init__(self, act: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.act = act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to a map."""
        return self.act(self.bn(self.conv(x)))


def inject_all(model: nn.Module, **options: Any) -> dict[str, Site]:
    """Attach DropBlock everywhere, and return the sites by path and place."""
    options = {'keep_prob': 0.5, 'block_size': 3, **options}
    sites = inject_drop_block(model, [{'module': ''}], **options)
    return {f'{site.module}.{site.place.name}'.lstrip('.'): site for site in sites}
