"""Forward values, against a slow construction in NumPy from the authors' lists.

It knows nothing of the package's modules: it takes the weights in the order in which
the network has them, and convolves and pools by looking at every place of a window.
"""

import numpy as np
import pytest
import torch
from torch import nn

from dropblock_mm import AmoebaNet
from dropblock_mm.models.backbones.amoebanet.stem import stack_sides

# For each cell: operations, the state that each takes, and which states are used.
AUTHORS = {
    'A': (
        (
            'avg3 max3 sep3 none none avg3 sep3 sep5 avg3 sep3',
            [0, 0, 1, 1, 0, 1, 0, 2, 5, 0],
            [1, 0, 1, 0, 0, 1, 0],
        ),
        (
            'sep3 avg3 max3 sep7 max3 max3 sep3 1x7 avg3 sep7',
            [1, 0, 0, 2, 1, 0, 4, 0, 1, 0],
            [1, 1, 0, 0, 0, 0, 0],
        ),
    ),
    'B': (
        (
            '1x1 max3 none sep3 1x1 sep3 1x1 none avg3 1x1',
            [1, 1, 1, 0, 1, 0, 2, 2, 1, 5],
            [0, 1, 1, 0, 0, 1, 0],
        ),
        (
            'max2 max3 none 3x3 sep5 max3 none sep3 avg3 1x1',
            [0, 0, 2, 1, 2, 2, 3, 1, 4, 3],
            [1, 1, 1, 1, 1, 0, 0],
        ),
    ),
    'C': (
        (
            'avg3 sep3 none sep3 avg3 sep3 none sep3 avg3 sep3',
            [0, 0, 0, 0, 2, 1, 0, 1, 3, 0],
            [1, 0, 0, 1, 0, 0, 0],
        ),
        (
            'max3 max3 sep7 sep3 sep7 max3 sep5 sep5 max3 sep3',
            [0, 0, 2, 0, 0, 1, 4, 4, 1, 1],
            [0, 1, 0, 0, 0, 0, 0],
        ),
    ),
    'D': (
        (
            '1x1 max3 none 1x7 1x1 1x7 max3 none avg3 1x1',
            [1, 1, 1, 0, 0, 0, 2, 2, 1, 5],
            [0, 1, 1, 0, 0, 1, 0],
        ),
        (
            'max2 max3 none 3x3 1x7 max3 none max2 avg3 1x1',
            [0, 0, 2, 1, 2, 2, 3, 1, 2, 3],
            [1, 1, 1, 1, 0, 0, 0],
        ),
    ),
}


class SlowNetwork:
    """The network as a program: each layer takes the next weights of a list."""

    def __init__(self, spec, num_cells, width, weights):
        self.normal, self.reduction = spec
        self.num_cells, self.width = num_cells, width
        self.weights = iter(weights)

    def conv(self, x, stride=(1, 1), valid=False):
        weight = next(self.weights)
        depthwise = weight.shape[1] == 1 and x.shape[1] > 1
        out = 0.0
        for (i, j), window in windows(x, weight.shape[2:], stride, 0.0, valid):
            w = weight[:, :, i, j]
            out = out + (
                window * w[:, 0, None, None]
                if depthwise
                else np.einsum('nchw,oc->nohw', window, w)
            )
        return out

    def norm(self, x):
        gain, shift = (next(self.weights)[:, None, None] for _ in range(2))
        mean = x.mean((0, 2, 3), keepdims=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
        return (x - mean) / np.sqrt(variance + 1e-5) * gain + shift

    def relu_conv_norm(self, x, stride=(1, 1)):
        return self.norm(self.conv(relu(x), stride))

    def operation(self, name, x, width, s):
        if name == '1x1' or (name == 'none' and (s == 2 or x.shape[1] != width)):
            return self.relu_conv_norm(x, (s, s))
        if name == 'none':
            return x
        if name.startswith('sep'):
            for stride in (s, 1):
                x = self.norm(self.conv(self.conv(relu(x), (stride, stride))))
            return x
        if name in ('3x3', '1x7'):
            strides = [(s, s)] if name == '3x3' else [(1, s), (s, 1)]
            if width >= 4:
                strides = [(1, 1), *strides, (1, 1)]
            for stride in strides:
                x = self.relu_conv_norm(x, stride)
            return x
        x = pool(x, name[:3], int(name[3]), s)
        return x if x.shape[1] == width else self.norm(self.conv(x))

    def factorized(self, x):
        shifted = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)))[:, :, 1:, 1:]
        halves = [self.conv(half[:, :, ::2, ::2]) for half in (x, shifted)]
        return self.norm(np.concatenate(halves, 1))

    def cell(self, spec, current, previous, width, s):
        operations, taken, used = spec
        first = self.relu_conv_norm(current)
        if previous is None:
            previous = current
        elif previous.shape[2:] != current.shape[2:]:
            previous = self.factorized(relu(previous))
        elif previous.shape[1] != width:
            previous = self.relu_conv_norm(previous)
        states = [first, previous]
        results = []
        for index, (name, state) in enumerate(
            zip(operations.split(), taken, strict=True)
        ):
            stride = s if state < 2 else 1
            results.append(self.operation(name, states[state], width, stride))
            if index % 2:
                states.append(results[-2] + results[-1])
        like = states[-1].shape
        for number, is_used in enumerate(used):
            if not is_used and states[number].shape[2:] != like[2:]:
                states[number] = self.factorized(states[number])
            elif not is_used and states[number].shape != like:
                states[number] = self.norm(self.conv(states[number]))
        kept = [x for x, is_used in zip(states, used, strict=True) if not is_used]
        return np.concatenate(kept, 1)

    def __call__(self, images):
        outs = [None, self.norm(self.conv(images, (2, 2), valid=True))]
        widths = [int(self.width / 4), int(self.width / 2)]
        for width in widths:
            outs.append(self.cell(self.reduction, outs[-1], outs[-2], width, 2))
        stacks = []
        for stack in range(3):
            width = self.width * 2**stack
            if stack:
                outs.append(self.cell(self.reduction, outs[-1], outs[-2], width, 2))
            for _ in range(self.num_cells):
                outs.append(self.cell(self.normal, outs[-1], outs[-2], width, 1))
            stacks.append(relu(outs[-1]))
        assert next(self.weights, None) is None, 'the network has more weights'
        return stacks


def relu(x):
    return np.maximum(x, 0)


def windows(x, kernel, stride, fill, valid=False):
    """Every place of a window, with what it sees; padded as TensorFlow's SAME does."""
    padding, sizes = [(0, 0), (0, 0)], []
    for size, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        out = (size - k) // s + 1 if valid else (size + s - 1) // s
        total = 0 if valid else max((out - 1) * s + k - size, 0)
        padding.append((total // 2, total - total // 2))
        sizes.append(out)
    padded = np.pad(x, padding, constant_values=fill)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = i + stride[0] * np.arange(sizes[0])
            columns = j + stride[1] * np.arange(sizes[1])
            yield (i, j), padded[:, :, rows][:, :, :, columns]


def pool(x, kind, k, s):
    if kind == 'max':
        return np.max([w for _, w in windows(x, (k, k), (s, s), -np.inf)], 0)
    seen = sum(w for _, w in windows(np.ones_like(x), (k, k), (s, s), 0.0))
    return sum(w for _, w in windows(x, (k, k), (s, s), 0.0)) / seen


def network(name, num_cells, width):
    torch.manual_seed(0)
    net = AmoebaNet(name, num_cells, width, stem_channels=5, out_indices=(0, 1, 2))
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):  # else a mix-up would not show
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return net.double()


@pytest.mark.parametrize(
    ('name', 'width', 'height'),
    # Sides of 17, 9, 5, 3, 2 and 21, 11, 6, 3, 2. With 8 channels the first cell is
    # too narrow for a bottleneck, and with 12 its 3 channels cannot be halved.
    [(n, w, h) for n in 'ABCD' for w, h in ((16, 43), (12, 35))] + [('B', 8, 43)],
)
def test_values_are_those_of_the_slow_construction(name, width, height):
    num_cells = 2 if name == 'B' else 1
    net = network(name, num_cells, width)
    images = torch.randn(2, 3, height, 35, dtype=torch.float64)
    with torch.no_grad():
        found = net(images)
    weights = [p.detach().numpy() for p in net.parameters()]
    slow = SlowNetwork(AUTHORS[name], num_cells, width, weights)
    for ours, expected in zip(found, slow(images.numpy()), strict=True):
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('side', [*range(19, 40), 96, 224, 331])
def test_sides_of_maps_are_told_beforehand(side):
    with torch.device('meta'):
        net = AmoebaNet('B', 1, 8, out_indices=(0, 1, 2))
        maps = net(torch.empty(2, 3, side, side))
    assert [m.shape[2] for m in maps] == [*stack_sides(side)]
