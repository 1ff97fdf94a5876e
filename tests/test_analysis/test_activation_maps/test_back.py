"""A shorter way back, held against autograd's own."""

import pytest
import torch
from torch import nn

from dropblock_mm.analysis.activation_maps.back import region_by_region, stop_at_zero
from dropblock_mm.analysis.activation_maps.cam import hires_cam, watching


class Extractor(nn.Module):
    """Cuts the columns of regions out of maps, and notes how many it is given."""

    def __init__(self):
        super().__init__()
        self.given = []

    def forward(self, maps, regions, shift=0):
        self.given.append(len(regions))
        columns = [maps[0][0, :, :, int(region[1]) + shift] for region in regions]
        return torch.stack(columns)[..., None]


class Head(nn.Module):
    """Scores of rows and, unless it is told not to, boxes."""

    def __init__(self, boxes):
        super().__init__()
        self.shared = nn.Conv2d(4, 5, 1)
        self.scores = nn.Linear(5 * 8, 3)
        self.boxes = nn.Linear(5 * 8, 4) if boxes else None
        self.given = []

    def forward(self, rows):
        self.given.append(len(rows))
        flat = self.shared(rows).relu().flatten(1)
        return self.scores(flat), self.boxes(flat) if self.boxes else None


class TwoStages(nn.Module):
    """Scores regions of a map, as the second stage of a detector does."""

    def __init__(self, boxes=True):
        super().__init__()
        self.maps = nn.Conv2d(3, 4, 3, 1, 1)
        self.first = nn.Conv2d(4, 1, 1)
        self.extractor = Extractor()
        self.head = Head(boxes)

    def forward(self, x):
        features = self.maps(x)
        # They come from the maps too, as those of a first stage do.
        start = self.first(features).exp().sum() * 0
        regions = torch.tensor([[0.0, i] for i in (0, 3, 5, 3)]) + start
        scores, _ = self.head(self.extractor([features], regions, shift=1))
        return scores.softmax(-1)


@pytest.mark.parametrize('boxes', [True, False])
def test_a_score_leads_back_through_its_own_region(boxes):
    torch.manual_seed(0)
    model, x = TwoStages(boxes).eval(), torch.randn(1, 3, 8, 8)
    with watching(model, model.maps, True) as watched:  # all of it by torch
        score = model(x)[2, 1]
        slow = hires_cam(watched.found('maps'), score)
    parts = model.head, model.extractor
    for part in parts:
        part.given = []
    short = region_by_region([model.head], [model.extractor])
    with short, watching(model, model.maps, True, through_detach=True) as watched:
        score = model(x)[2, 1]
        found = hires_cam(watched.found('maps'), score)
    assert [part.given for part in parts] == [[4, 1], [4, 1]]
    assert torch.allclose(found, slow, atol=1e-6)
    assert found[:, 6].any()
    assert not found[:, :6].any()
    assert not any('forward' in vars(part) for part in parts)


def test_what_has_no_gradient_asks_for_no_region():
    model, maps = Extractor(), torch.randn(1, 2, 4, 8, requires_grad=True)
    with region_by_region([], [model]):
        out = model([maps], torch.tensor([[0.0, 2], [0.0, 5]]))
        found = torch.autograd.grad(out, maps, torch.zeros_like(out), allow_unused=True)
        with torch.no_grad():
            model([maps], torch.tensor([[0.0, 2]]))
    assert model.given == [2, 1]
    assert found == (None,)


def test_a_gradient_that_is_not_finite_is_seen():
    head, rows = nn.Linear(4, 3), torch.randn(6, 4, requires_grad=True)
    grad = torch.zeros(6, 3)
    grad[2, 1] = torch.nan
    with region_by_region([head], []):
        (found,) = torch.autograd.grad(head(rows), rows, grad)
    assert found[2].isnan().all()
    assert not found[[0, 1, 3, 4, 5]].any()


def test_a_level_that_does_not_count_is_not_gone_back_through():
    towers = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    leaves = [torch.randn(1, 3, requires_grad=True) for _ in towers]
    outputs = [tower(leaf) for tower, leaf in zip(towers, leaves, strict=True)]
    names, (first, second) = stop_at_zero(towers, (), ('maps', outputs))
    assert names == 'maps'
    both = torch.cat([first, second])
    found = torch.autograd.grad(both[1, 0], leaves, allow_unused=True)
    assert found[0] is None, 'and not 0, which was computed'
    assert torch.equal(found[1][0], towers[1].weight[0])
