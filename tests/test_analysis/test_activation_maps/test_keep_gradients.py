"""What mmdet's heads do to scores, done without losing the gradient."""

import copy

import pytest
import torch

from dropblock_mm.analysis.activation_maps.cam import grad_cam, watching
from dropblock_mm.analysis.activation_maps.keep_gradients import KeepGradients


def test_a_copy_of_a_score_keeps_its_gradient():
    model = torch.nn.Conv2d(1, 2, 1)
    with watching(model, model, True, through_detach=True) as watched:
        scores = model(torch.ones(1, 1, 3, 3)).sum(dim=(2, 3))
        score = copy.deepcopy({'scores': scores})['scores'][0, 1]  # YOLACT's head does
        found = grad_cam(watched.found('conv'), score)
    assert found.shape == (3, 3)


@pytest.mark.parametrize('split', [torch.split, torch.Tensor.split, torch.Tensor.chunk])
def test_parts_may_be_written_into(split):
    x = torch.ones(4, 3, requires_grad=True)
    with KeepGradients():
        rows = x * 2
        (first, second) = split(rows, 2)
        first[:, 0] = 0  # PointRend's, of the regions of an image
    assert first.tolist() == [[0, 2, 2]] * 2
    (first.sum() + second[0].sum()).backward()
    assert x.grad.tolist() == [[0, 2, 2], [0, 2, 2], [2, 2, 2], [0, 0, 0]]
    with KeepGradients(), torch.no_grad():
        rows = torch.ones(4, 3)
        split(rows, 2)[0][:] = 5  # without a graph they stay views
    assert rows.tolist() == [[5] * 3] * 2 + [[1] * 3] * 2


def test_a_root_of_padding_leaves_the_gradient_finite():
    x = torch.tensor([4.0, 9.0], requires_grad=True)
    for root in (torch.sqrt, torch.Tensor.sqrt):
        with KeepGradients():
            found = root(torch.cat([x, x.new_zeros(1)]) * x[0])  # PAA's background
        (gradient,) = torch.autograd.grad(found[1], x)
        # Of (x0 x1)^.5: half of each other's root over one's own.
        assert gradient.tolist() == pytest.approx([0.5 * 1.5, 0.5 / 1.5])
        (gradient,) = torch.autograd.grad(root(x * 0 + 4)[0] + found.detach()[0], x)
        assert gradient.tolist() == [0, 0]
