"""Matching and losses, beside the recipe in plain torch (sources: conftest.py)."""

import torch
from mmengine.structures import InstanceData
from torch.nn import functional

IMAGE = dict(img_shape=(128, 128), pad_shape=(128, 128))
SIZES = (16, 8, 4, 2, 1)


def all_anchors(head):
    sizes = [(size, size) for size in SIZES]
    return torch.cat(head.prior_generator.grid_priors(sizes, device='cpu'))


def box_iou(boxes, anchors):
    corner = torch.maximum(boxes[:, None, :2], anchors[None, :, :2])
    other = torch.minimum(boxes[:, None, 2:], anchors[None, :, 2:])
    common = (other - corner).clamp(min=0).prod(2)
    areas = [(x[:, 2:] - x[:, :2]).prod(1) for x in (boxes, anchors)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def recipes_matches(anchors, boxes):
    """TPU anchors: ArgMaxMatcher(0.5, force_match_for_each_row); -1 is background."""
    ious = box_iou(boxes, anchors)
    best, matches = ious.max(dim=0)
    matches[best < 0.5] = -1
    for row, anchor in enumerate(ious.argmax(dim=1)):
        matches[anchor] = row
    return matches


def recipes_targets(anchors, boxes):
    """TPU: FasterRcnnBoxCoder without scale factors."""

    def center_size(x):
        return (x[:, :2] + x[:, 2:]) / 2, x[:, 2:] - x[:, :2]

    (centers, sizes), (origins, lengths) = center_size(boxes), center_size(anchors)
    return torch.cat([(centers - origins) / lengths, (sizes / lengths).log()], dim=1)


def recipes_losses(scores, deltas, anchors, instances):
    """TPU model: focal_loss and _box_loss, summed over the images of a GPU."""
    focal, huber, positives = 0.0, 0.0, 0
    for logits, delta, gt in zip(scores, deltas, instances, strict=True):
        matches = recipes_matches(anchors, gt.bboxes)
        chosen = matches >= 0
        onehot = torch.zeros_like(logits)
        onehot[chosen, gt.labels[matches[chosen]]] = 1.0
        entropy = functional.binary_cross_entropy_with_logits(
            logits, onehot, reduction='none'
        )
        right = torch.where(onehot == 1, logits.sigmoid(), 1 - logits.sigmoid())
        alpha = torch.where(onehot == 1, 0.25, 0.75)  # alpha=0.25
        focal += (alpha * (1 - right) ** 1.5 * entropy).sum()  # gamma=1.5
        target = recipes_targets(anchors[chosen], gt.bboxes[matches[chosen]])
        huber += functional.huber_loss(
            delta[chosen], target, delta=0.1, reduction='sum'
        )
        positives += int(chosen.sum())
    # TPU adds 1 to the positives of a GPU; mmdet has at least 1 for each image.
    return focal / positives, 50.0 * huber / (4 * positives)


def random_outputs(batch):
    """Head outputs of five levels, and the same as (image, anchor, value)."""
    torch.manual_seed(1)
    maps = {c: [torch.randn(batch, 9 * c, s, s) for s in SIZES] for c in (80, 4)}
    flat = {
        c: torch.cat([x.permute(0, 2, 3, 1).reshape(batch, -1, c) for x in xs], 1)
        for c, xs in maps.items()
    }
    return maps, flat


def test_losses_are_the_recipes(model):
    head = model.bbox_head
    instances = [
        # An object of 4 pixels matches no anchor well, and many equally badly.
        InstanceData(
            bboxes=torch.tensor([[8.0, 8, 60, 64], [30, 40, 34, 44]]),
            labels=torch.tensor([7, 79]),
        ),
        InstanceData(
            bboxes=torch.tensor([[2.0, 70, 120, 125]]), labels=torch.tensor([0])
        ),
    ]
    maps, flat = random_outputs(2)
    losses = head.loss_by_feat(maps[80], maps[4], instances, [IMAGE] * 2)
    anchors = all_anchors(head)
    focal, huber = recipes_losses(flat[80], flat[4], anchors, instances)
    torch.testing.assert_close(sum(losses['loss_cls']), focal, rtol=1e-4, atol=0)
    torch.testing.assert_close(sum(losses['loss_bbox']), huber, rtol=1e-4, atol=0)


def test_an_object_keeps_one_anchor_however_bad(model):
    head = model.bbox_head
    priors = all_anchors(head)
    tiny = InstanceData(
        bboxes=torch.tensor([[30.0, 40, 34, 44]]), labels=torch.tensor([3])
    )
    ious = box_iou(tiny.bboxes, priors)[0]
    assert ious.max() < 0.1
    assert (ious == ious.max()).sum() > 1
    result = head.assigner.assign(InstanceData(priors=priors), tiny)
    assert (result.gt_inds > 0).sum() == 1
    assert (result.gt_inds == 0).sum() == len(priors) - 1  # nothing is ignored


def test_images_without_objects_are_trained_on(model):
    empty = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    maps, _ = random_outputs(1)
    losses = model.bbox_head.loss_by_feat(maps[80], maps[4], [empty], [IMAGE])
    assert sum(losses['loss_cls']) > 0
    assert sum(losses['loss_bbox']) == 0
