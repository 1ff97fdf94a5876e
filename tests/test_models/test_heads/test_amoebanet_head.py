"""AmoebaNet's head: the classifier, the auxiliary one, what is refused."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional

pytest.importorskip('mmpretrain')

from mmpretrain.structures import DataSample

from dropblock_mm.models.heads.amoebanet_head import (
    AmoebaNetHead,
    AuxiliaryClassifier,
)

SMALL = dict(in_channels=8, image_size=96)


@pytest.fixture
def head():
    torch.manual_seed(0)
    return AmoebaNetHead(5, in_channels=16, auxiliary=SMALL)


@pytest.fixture
def maps():
    torch.manual_seed(1)
    return torch.randn(3, 8, 6, 6), torch.randn(3, 16, 3, 3)


def samples(*labels):
    return [DataSample().set_gt_label(label) for label in labels]


def smoothed(logits, labels, smoothing=0.1):
    """Cross-entropy with (1 - e) y + e / K, written out."""
    classes = logits.shape[1]
    one_hot = functional.one_hot(torch.tensor(labels), classes)
    wanted = (1 - smoothing) * one_hot + smoothing / classes
    return -(wanted * logits.log_softmax(1)).sum(1).mean()


@pytest.mark.parametrize(
    ('size', 'parameters'), [(331, 976_816), (224, 663_676)], ids=str
)
def test_parameters_of_the_auxiliary_classifier(size, parameters):
    with torch.device('meta'):
        auxiliary = AuxiliaryClassifier(1000, 2048, size, {'type': 'BN'})
    assert sum(p.numel() for p in auxiliary.parameters()) == parameters


def test_scores_are_of_the_mean_of_the_last_map(head, maps):
    head.eval()
    expected = maps[-1].clamp(min=0).mean((2, 3)) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(maps), expected)


def test_half_of_the_features_are_dropped_in_training(head, maps):
    assert head.dropout.p == 0.5
    kept = (head.train().pre_logits(maps) > 0).float().mean()
    assert 0.2 < kept < 0.8


def test_losses_are_smoothed_and_the_auxiliary_one_counts_two_fifths(head, maps):
    head.train()
    head.dropout.p = 0.0
    labels = [0, 3, 4]
    losses = head.loss(maps, samples(*labels))
    assert set(losses) == {'loss', 'loss_aux'}
    torch.testing.assert_close(losses['loss'], smoothed(head(maps), labels))
    own = smoothed(head.auxiliary(maps[0]), labels)
    torch.testing.assert_close(losses['loss_aux'], 0.4 * own)


def test_the_auxiliary_classifier_step_by_step(head, maps):
    auxiliary = head.auxiliary.eval()
    narrow = auxiliary.conv_narrow.weight[:, :, 0, 0]
    pooled = maps[0].clamp(min=0)[:, :, :5, :5].mean((2, 3))
    x = pooled @ narrow.T / (1 + 1e-5) ** 0.5  # a norm that has seen nothing yet
    x = x.clamp(min=0) @ auxiliary.conv_whole.weight[:, :, 0, 0].T
    x = (x / (1 + 1e-5) ** 0.5).clamp(min=0)
    expected = x @ auxiliary.fc.weight.T + auxiliary.fc.bias
    torch.testing.assert_close(auxiliary(maps[0]), expected)


def test_predictions_need_one_map_alone(head, maps):
    (sample,) = head.eval().predict(maps[1:], None)[:1]
    assert sample.pred_score.shape == (5,)


def test_without_an_auxiliary_classifier():
    head = AmoebaNetHead(5, in_channels=16, auxiliary=None)
    losses = head.loss((torch.randn(2, 16, 3, 3),), samples(0, 1))
    assert set(losses) == {'loss'}


def test_a_classifier_trains_a_step():
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(
                type='dropblock_mm.AmoebaNet',
                num_cells=1,
                base_channels=8,
                out_indices=(1, 2),
            ),
            head=dict(
                type='dropblock_mm.AmoebaNetHead',
                num_classes=4,
                in_channels=128,
                auxiliary=dict(in_channels=64, image_size=70),
            ),
        )
    )
    losses = model(torch.randn(2, 3, 70, 70), samples(0, 3), mode='loss')
    sum(losses.values()).backward()
    grads = [p.grad for p in model.parameters()]
    assert all(grad is not None for grad in grads)


def test_weights_of_the_configs_choice_win():
    normal = dict(type='Normal', layer='Linear', std=0.01)
    head = AmoebaNetHead(10, in_channels=64, auxiliary=None, init_cfg=normal)
    head.init_weights()
    assert head.fc.weight.std().item() == pytest.approx(0.01, rel=0.2)
    assert isinstance(head.fc, nn.Linear)


def test_one_map_is_not_enough_for_the_auxiliary_classifier(head, maps):
    with pytest.raises(ValueError, match=r'got one map.*out_indices=\(1, 2\)'):
        head.loss(maps[1:], samples(0, 1, 2))


def test_images_of_another_size_are_refused(head, maps):
    larger = torch.randn(3, 8, 8, 8)
    with pytest.raises(ValueError, match=r'image_size=96 reads maps of 6x6.*got 8x8'):
        head.loss((larger, maps[1]), samples(0, 1, 2))


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(num_classes=0), ValueError, 'num_classes=0'),
        (dict(in_channels=2.5), TypeError, 'in_channels=2.5'),
        (dict(dropout_ratio=1.0), ValueError, r'dropout_ratio=1.0.*\[0, 1\)'),
        (dict(auxiliary=331), TypeError, 'auxiliary=331 of AmoebaNetHead'),
        (dict(auxiliary=dict(size=331)), TypeError, "auxiliary.*'size'"),
        (dict(auxiliary=dict(image_size=64)), ValueError, 'image_size=64.*66 pixels'),
        (dict(auxiliary=dict(loss_weight='x')), TypeError, "loss_weight='x'"),
    ],
)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        AmoebaNetHead(**{'num_classes': 5, **options})
