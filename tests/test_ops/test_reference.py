import torch

from dropblock_mm.ops.reference import reference_drop_block, reference_mask


def test_mask_by_hand():
    seeds = torch.zeros(1, 1, 3, 4, dtype=torch.bool)
    seeds[0, 0, 1, 2] = True
    mask = reference_mask(seeds, 2, (4, 5))
    expected = [
        [1, 1, 1, 1, 1],
        [1, 1, 0, 0, 1],
        [1, 1, 0, 0, 1],
        [1, 1, 1, 1, 1],
    ]
    assert mask[0, 0].tolist() == expected


def test_output_by_hand():
    seeds = torch.tensor([[[[True, False]]]])  # 1x1 block at the left of a 1x2 map
    out = reference_drop_block(torch.tensor([[[[3.0, 5.0]]]]), seeds, 1)
    assert out.flatten().tolist() == [0.0, 10.0]
