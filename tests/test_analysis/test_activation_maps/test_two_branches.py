"""Models whose answer comes from two branches: tokens and maps, objects and areas."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample

from dropblock_mm.analysis.activation_maps import segmentors
from dropblock_mm.analysis.activation_maps.explain import explain, usual_layer
from dropblock_mm.analysis.sites.stock_models import WEIGHTS, without
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import ModelFiles, TrainedModel
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.runs import load_config, prepare_library

SIDE = 64


def trained(library, model, seed=0):
    init_default_scope(library)
    torch.manual_seed(seed)
    built = MODELS.build(Config(model)._cfg_dict).eval()
    return TrainedModel(ModelFiles('small', '', ''), Config(), built, library, ())


def example(sample, height=SIDE, width=SIDE):
    pixels = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    sample.set_metainfo(
        {
            'img_shape': (height, width),
            'ori_shape': (height, width),
            'scale_factor': (1.0, 1.0),
        }
    )
    return Example('photo.png', {'inputs': pixels, 'data_samples': sample}, None)


def classifier(backbone, head):
    model = {'type': 'ImageClassifier', 'backbone': backbone, 'head': head}
    return trained('mmpretrain', model)


def tnt(img_size=(32, 48)):
    arch = {'embed_dims_inner': 8, 'embed_dims_outer': 16, 'num_layers': 2}
    arch |= {'num_heads_inner': 2, 'num_heads_outer': 2}
    backbone = {'type': 'TNT', 'arch': arch, 'img_size': img_size}
    return classifier(
        backbone, {'type': 'LinearClsHead', 'num_classes': 5, 'in_channels': 16}
    )


def conformer():
    arch = {'embed_dims': 16, 'channel_ratio': 1, 'num_heads': 2, 'depths': 3}
    head = {'type': 'ConformerHead', 'num_classes': 5, 'in_channels': [256, 16]}
    return classifier({'type': 'Conformer', 'arch': arch}, head)


def logits_of(model, photo, layer):
    """Return what a layer gave, and the sum of what the model says of each class."""
    kept = []

    def keep(module, inputs, output):
        kept.append(output[0] if isinstance(output, tuple) else output)
        kept[-1].retain_grad()

    handle = model.model.get_submodule(layer).register_forward_hook(keep)
    batch = model.model.data_preprocessor({'inputs': [photo.item['inputs']]})
    logits = model.model(batch['inputs'], mode='tensor')
    handle.remove()
    return kept[0], sum(logits) if isinstance(logits, tuple) else logits


def test_tnts_map_is_of_the_patches_that_its_last_block_attends_to():
    model, photo = tnt(), example(DataSample(), 32, 48)
    layer = usual_layer(model, photo)
    assert layer == 'backbone.layers.1.outer_block.norm_attn'
    found, slow = [], []
    for label in range(5):
        found.append(explain(model, photo, Truth(label)).activation)
        tokens, logits = logits_of(model, photo, layer)
        logits[0, label].backward()
        values, gradients = tokens.detach()[0, 1:], tokens.grad[0, 1:]
        weighted = (values * gradients.mean(dim=0)).sum(dim=1).clamp_min(0)
        slow.append(weighted.numpy().reshape(2, 3))
    assert np.any(slow)
    assert np.allclose(found, slow, atol=1e-9)


def test_conformers_map_is_that_of_its_last_convolution():
    model, photo = conformer(), example(DataSample())
    layer = usual_layer(model, photo)
    assert layer == 'backbone.conv_trans_3'
    maps, _ = logits_of(model, photo, layer)
    cells = maps[0, 0].numel()
    for label in range(5):
        # Mean pooling and one linear layer follow: Grad-CAM is CAM by its weights.
        weights = model.model.head.conv_cls_head.weight[label]
        slow = torch.einsum('k,khw->hw', weights, maps[0]).clamp_min(0) / cells
        found = explain(model, photo, Truth(label))
        assert np.allclose(found.activation, slow.detach(), atol=1e-7)


def test_conformers_class_is_that_of_its_prediction():
    model, photo = conformer(), example(DataSample())
    batch = model.model.data_preprocessor({'inputs': [photo.item['inputs']]})
    with torch.no_grad():
        logits = model.model(batch['inputs'], mode='tensor')
        (predicted,) = model.model.predict(batch['inputs'], [DataSample()])
    found = explain(model, photo)
    assert found.target.label == int(predicted.pred_label)
    assert found.score == pytest.approx(float(predicted.pred_score.max()))
    assert found.score != pytest.approx(float(logits[-1].softmax(1).max()))


def test_maps_that_each_have_a_token_are_looked_at(monkeypatch):
    monkeypatch.setattr(segmentors, 'ENOUGH', 1000)  # all rows of its logits
    backbone = {'type': 'VisionTransformer', 'img_size': (32, 48), 'embed_dims': 16}
    backbone |= {'num_layers': 4, 'num_heads': 2, 'out_indices': (0, 1, 2, 3)}
    backbone |= {'final_norm': False, 'with_cls_token': True, 'output_cls_token': True}
    head = {'type': 'DPTHead', 'in_channels': (16,) * 4, 'channels': 8}
    head |= {'embed_dims': 16, 'post_process_channels': [8] * 4, 'num_classes': 3}
    head |= {'readout_type': 'project', 'input_transform': 'multiple_select'}
    head |= {'in_index': (0, 1, 2, 3), 'norm_cfg': {'type': 'BN'}}
    model = trained(
        'mmseg',
        {
            'type': 'EncoderDecoder',
            'data_preprocessor': {'type': 'SegDataPreProcessor'},
            'backbone': backbone,
            'decode_head': head,
            'test_cfg': {'mode': 'whole'},
        },
    )
    photo = example(SegDataSample(), 32, 48)
    region = np.ones((32, 48), dtype=bool)
    found = explain(model, photo, Truth(1, region=region))
    assert found.activation.shape == (2, 3)
    assert found.activation.any()
    given = model.model.backbone(torch.zeros(1, 3, 32, 48))
    assert [len(one) for one in given] == [2] * 4  # a map, and the token of the class
    with torch.no_grad():
        batch = model.model.data_preprocessor({'inputs': [photo.item['inputs']]})
        maps = [one[0] for one in model.model.backbone(batch['inputs'])]
    levels = [weighted(map_, model, batch) for map_ in maps]
    close = [np.allclose(found.activation, level, rtol=1e-4) for level in levels]
    assert sum(close) == 1  # the steepest


def weighted(map_, model, batch):
    """Return Grad-CAM of one of the maps, the others as they are."""
    kept = []

    def stand_in(module, inputs, output):
        parts = []
        for own, token in output:
            same = torch.equal(own, map_)
            leaf = own.detach().requires_grad_() if same else own
            if same:
                kept.append(leaf)
            parts.append([leaf.clone(), token])
        return tuple(parts)

    handle = model.model.backbone.register_forward_hook(stand_in)
    logits = model.model(batch['inputs'], mode='tensor')
    handle.remove()
    full = torch.nn.functional.interpolate(
        logits, (32, 48), mode='bilinear', align_corners=model.model.align_corners
    )
    full[0, 1].mean().backward()
    (leaf,) = kept
    weights = leaf.grad[0].mean(dim=(1, 2))
    return torch.einsum('k,khw->hw', weights, leaf.detach()[0]).clamp_min(0).numpy()


@pytest.fixture(scope='module')
def panoptic():
    cfg = load_config('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', {})
    prepare_library(cfg)
    model = without(cfg.model.to_dict(), WEIGHTS)
    model['backbone'] |= {'depth': 18, 'base_channels': 8}
    model['neck'] |= {'in_channels': [8, 16, 32, 64], 'out_channels': 16}
    model['rpn_head'] |= {'in_channels': 16, 'feat_channels': 16}
    roi = model['roi_head']
    for part in ('bbox_roi_extractor', 'mask_roi_extractor'):
        roi[part]['out_channels'] = 16
    roi['bbox_head'] |= {'in_channels': 16, 'fc_out_channels': 16, 'num_classes': 3}
    roi['mask_head'] |= {'in_channels': 16, 'conv_out_channels': 8, 'num_classes': 3}
    model['semantic_head'] |= {
        'in_channels': 16,
        'inner_channels': 32,
        'num_things_classes': 3,
        'num_stuff_classes': 2,
    }
    fusion = model['panoptic_fusion_head']
    fusion |= {'num_things_classes': 3, 'num_stuff_classes': 2}
    model['test_cfg']['rcnn']['score_thr'] = 0.0
    return trained('mmdet', model)


def test_a_panoptic_models_box_is_that_of_its_detector(panoptic):
    photo, model = example(DetDataSample(), 64, 96), panoptic.model
    seen = []
    handle = model.roi_head.bbox_head.register_forward_hook(
        lambda module, inputs, output: seen.append(output[0])
    )
    found = explain(panoptic, photo)
    handle.remove()
    scores = seen[0].detach().softmax(dim=1)[:, :3]
    assert found.score == pytest.approx(float(scores.max()), rel=1e-5)
    assert found.target.label in range(3)
    assert found.activation.any()
    assert found.box is not None
    # It predicts as before.
    batch = model.data_preprocessor({k: [v] for k, v in photo.item.items()}, False)
    with torch.no_grad():
        (sample,) = model(**batch, mode='predict')
    assert sample.pred_panoptic_seg.sem_seg.shape[1:] == (64, 96)
    assert 'predict' not in vars(model.panoptic_fusion_head)
