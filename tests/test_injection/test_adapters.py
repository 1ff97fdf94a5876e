"""Each kind of block, in plain torch where the kind exists there."""

import copy
import pickle

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from dropblock_mm import (
    DropBlock2d,
    detach_drop_block,
    inject_drop_block,
    register_block_adapter,
)
from dropblock_mm.injection import Place, adapters


class BasicBlock(nn.Module):
    """As in torchvision and timm; ``slot`` names what holds the projection."""

    def __init__(self, inputs=4, outputs=4, slot='downsample', plain_shortcut=None):
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

    def branch(self, x):
        return self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))

    def forward(self, x):
        projection = getattr(self, self.slot)
        return torch.relu(self.branch(x) + (projection(x) if projection else x))


class PlainShortcutBlock(BasicBlock):
    """Its identity is an empty Sequential, as in many a ResNet for CIFAR."""

    def __init__(self):
        super().__init__(slot='shortcut', plain_shortcut=nn.Sequential())

    def forward(self, x):
        return torch.relu(self.branch(x) + self.shortcut(x))


class PreActivationBlock(nn.Module):
    """As timm's ResNetV2: the projection gets the normed input, the identity not."""

    def __init__(self):
        super().__init__()
        self.downsample = None
        self.norm1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        normed = torch.relu(self.norm1(x))
        identity = x if self.downsample is None else self.downsample(normed)
        return identity + self.conv2(torch.relu(self.norm2(self.conv1(normed))))


class RegNetBlock(nn.Module):
    """As torchvision's."""

    def __init__(self):
        super().__init__()
        self.proj = None
        self.f = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

    def forward(self, x):
        return torch.relu(self.f(x) + (x if self.proj is None else self.proj(x)))


class InvertedResidual(nn.Module):
    """As timm's, with units of a conv and a norm that no Sequential holds."""

    def __init__(self, has_skip=True):
        super().__init__()
        self.has_skip = has_skip
        self.conv_pw, self.bn1 = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.unit = ConvNormAct()

    def forward(self, x):
        out = self.unit(torch.relu(self.bn1(self.conv_pw(x))))
        return x + out if self.has_skip else out


class ConvNormAct(nn.Module):
    def __init__(self, act=None):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.act = act or nn.Identity()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.unit = ConvModule(4, 4, 1)

    def forward(self, x):
        return x * self.unit(self.pool(x)).sigmoid()


def inject(model, **options):
    """Attach everywhere, and return {path.place: site}."""
    options = dict(keep_prob=0.5, block_size=3) | options
    sites = inject_drop_block(model, [dict(module='')], **options)
    return {f'{site.module}.{site.place.name}'.lstrip('.'): site for site in sites}


def test_blocks_have_the_places_they_should():
    model = nn.ModuleDict(
        dict(
            basic=BasicBlock(),
            wider=BasicBlock(4, 8),
            cifar=PlainShortcutBlock(),
            other_slot=BasicBlock(slot='shortcut'),
            before=PreActivationBlock(),
            regnet=RegNetBlock(),
            inverted=InvertedResidual(),
            no_skip=InvertedResidual(has_skip=False),
        )
    )
    sites = inject(model)
    ways = {
        name: 'slot' if site.place.slot else 'sum' if site.place.adds_input else 'after'
        for name, site in sites.items()
        if site.place.kind == 'shortcut'
    }
    assert ways == {
        'basic.shortcut': 'slot',
        'wider.shortcut': 'after',
        'cifar.shortcut': 'after',
        'other_slot.shortcut': 'slot',
        'before.shortcut': 'sum',
        'regnet.shortcut': 'slot',
        'inverted.shortcut': 'sum',
    }
    assert sorted(sites.keys() - ways.keys()) == [
        *(f'{block}.conv{i}' for block in ('basic', 'before', 'cifar') for i in (1, 2)),
        'inverted.bn1',
        'inverted.unit.conv',
        'no_skip.bn1',
        'no_skip.unit.conv',
        'other_slot.conv1',
        'other_slot.conv2',
        'regnet.f.0.conv',
        'wider.conv1',
        'wider.conv2',
    ]


BLOCKS = [
    BasicBlock,
    PlainShortcutBlock,
    PreActivationBlock,
    RegNetBlock,
    InvertedResidual,
]


def norms_of(block):
    return [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize('make', BLOCKS)
def test_without_dropping_nothing_changes(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9)
    plain = copy.deepcopy(block)
    sites = inject(block, keep_prob=1.0)
    torch.testing.assert_close(block.train()(x), plain.train()(x))
    assert all(site.layer.seen_units > 0 for site in sites.values())
    assert torch.equal(block.eval()(x), plain.eval()(x))
    assert list(block.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize('make', BLOCKS)
def test_a_shortcut_of_which_nothing_is_kept_leaves_the_branch(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9, requires_grad=True)
    plain = copy.deepcopy(block)
    inject(block, keep_prob=1.0, block_size=9)['shortcut'].layer.set_keep_prob(0.0)

    if isinstance(plain, (PreActivationBlock, InvertedResidual)):
        expected = plain.train()(x) - x
    else:
        inner = plain.f if isinstance(plain, RegNetBlock) else plain.branch
        expected = torch.relu(inner(x))
    out = block.train()(x)
    torch.testing.assert_close(out, expected)
    (given,) = torch.autograd.grad(out.square().sum(), x)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(given, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize('make', BLOCKS)
def test_detaching_restores_the_block(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9)
    before = repr(block), copy.deepcopy(block)(x)
    detach_drop_block(list(inject(block).values()))
    assert (repr(block), not block._forward_hooks) == (before[0], True)
    assert torch.equal(block(x), before[1])


@pytest.mark.parametrize(
    'clone', [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copied_sum_drops_with_a_layer_of_its_own(clone):
    block = InvertedResidual()
    original = inject(block)['shortcut'].layer
    copied = clone(block)
    copied(torch.randn(2, 4, 9, 9))
    assert copied.drop_block_shortcut.seen_units > 0
    assert original.seen_units == 0


def test_in_eval_a_sum_is_not_even_rounded():
    block = InvertedResidual().eval()
    inject(block)
    x = 1e30 * torch.randn(1, 4, 5, 5)
    assert torch.equal(block(x), block.forward(x))


def test_sums_compile():
    torch.manual_seed(0)
    block, x = InvertedResidual().train(), torch.randn(2, 4, 9, 9)
    inject(block, keep_prob=1.0)
    compiled = torch.compile(block, backend='eager')
    torch.testing.assert_close(compiled(x), block(x))


@pytest.mark.parametrize(
    ('act', 'name'), [(nn.ReLU(), 'bn'), (None, 'bn'), (nn.SiLU(), '')]
)
def test_a_unit_is_dropped_where_it_commutes_with_the_activation(act, name):
    unit = ConvNormAct(act)
    assert inject(unit)['conv'].place.after is unit.get_submodule(name)


@pytest.mark.parametrize(
    ('act', 'index'), [(nn.ReLU(), 1), (nn.SiLU(), 2), (nn.MaxPool2d(2), 1)]
)
def test_a_sequence_is_dropped_where_it_commutes_with_the_activation(act, index):
    sequence = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), act)
    site = inject(sequence)['0.conv']
    assert site.place.after is sequence[index]
    sequence(torch.randn(2, 4, 9, 9))
    assert len(sequence) == 3
    assert site.layer.seen_units > 0


def test_a_frozen_sequence_does_not_drop():
    """The layer follows its convolution into eval mode, not the block around it."""
    stem = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    model = nn.ModuleDict(dict(stem=stem, block=BasicBlock()))
    sites = inject(model)
    model.train()
    stem.eval().requires_grad_(False)
    assert not sites['stem.0.conv'].layer.training
    assert [name for name, site in sites.items() if site.frozen] == ['stem.0.conv']


@pytest.mark.parametrize(
    'gate',
    [
        SqueezeExcite(),
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Sigmoid()),
        ConvModule(4, 4, 1, norm_cfg=dict(type='BN'), act_cfg=dict(type='Sigmoid')),
    ],
)
def test_gates_are_left_alone(gate):
    with pytest.raises(ValueError, match=r'the model \(.*no site for DropBlock'):
        inject(nn.Sequential(gate))


def test_a_projection_is_one_place_wherever_the_target_begins():
    model = nn.Sequential(BasicBlock(4, 8))
    sites = inject_drop_block(model, [dict(module='.*')], keep_prob=0.5)
    assert [site.place.name for site in sites] == ['shortcut', 'conv1', 'conv2']
    with pytest.raises(ValueError, match='no site'):
        inject_drop_block(
            nn.Sequential(BasicBlock(4, 8)), [dict(module='0.downsample')]
        )


# ---- what cannot be served says why


@pytest.mark.parametrize(
    ('module', 'why'),
    [
        (nn.Linear(4, 4), 'it has no convolution'),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.LayerNorm(4)), 'LayerNorm, of tokens'),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()),
            'no convolution in it is follow',
        ),
    ],
)
def test_a_refusal_says_why(module, why):
    with pytest.raises(ValueError, match=rf'no site.*{why}.*register_block_adapter'):
        inject(module)


def trident_block(trident):
    """An identity block of three branches, that shows its identity: x + 0."""
    block = trident.layer3[1]
    nn.init.zeros_(block.norm3.weight)
    return block.train()


def test_inputs_in_a_list_are_dropped_on_the_skip_connection_alone(trident):
    block = trident_block(trident)
    (site,) = inject_drop_block(
        block, [dict(module='', where='shortcut')], keep_prob=0.5, block_size=2
    )
    inputs = [torch.rand(2, 128, 8, 8) + 1 for _ in range(3)]
    seen = []
    block.conv1.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    outputs = block(list(inputs))
    assert all(map(torch.equal, seen, inputs))
    zeros = [out == 0 for out in outputs]
    assert all(0.2 < z.double().mean() < 0.8 for z in zeros)
    assert not torch.equal(zeros[0], zeros[1])
    for x, out, zero in zip(inputs, outputs, zeros, strict=True):
        scale = x.numel() / (~zero).sum()
        torch.testing.assert_close(out[~zero], x[~zero] * scale)
    assert site.layer.seen_units == 3 * inputs[0].numel()


def test_one_input_goes_whole_into_all_branches(trident):
    """As where a stage begins without a projection."""
    block = trident_block(trident)
    inject_drop_block(block, [dict(module='', where='shortcut')], keep_prob=0.5)
    x, seen = torch.rand(2, 128, 8, 8) + 1, []
    block.conv1.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0]))
    outputs = block(x)
    assert len(seen) == 3
    assert all(torch.equal(x, one) for one in seen)
    assert all((out == 0).any() for out in outputs)


def test_a_copy_of_a_block_with_branches_works_by_itself(trident):
    """EMAHook copies the model, and also after a training step."""
    block = trident_block(trident)
    (site,) = inject_drop_block(block, [dict(module='', where='shortcut')])
    inputs = [torch.rand(2, 128, 8, 8, requires_grad=True) for _ in range(3)]
    block(inputs)
    copied = copy.deepcopy(block)
    seen = int(site.layer.seen_units)
    copied(inputs)
    assert site.layer.seen_units == seen
    assert copied.downsample is None
    assert copied.drop_block_shortcut.seen_units == 2 * seen
    detach_drop_block([site])
    assert not any(
        hooks
        for module in (block, block.conv1)
        for hooks in (module._forward_hooks, module._forward_pre_hooks)
    )


# ---- blocks of the user's


class Tower(nn.Module):
    """A block that no built-in rule understands."""

    def __init__(self):
        super().__init__()
        self.weigh, self.scale = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.unit = ConvModule(4, 4, 1, norm_cfg=dict(type='BN'))

    def forward(self, x):
        return x + self.unit(self.scale(self.weigh(x)))


class HigherTower(Tower):
    pass


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(adapters, '_REGISTERED', {})


@pytest.mark.parametrize('tower', [Tower, HigherTower])
def test_a_registered_block_is_served(tower):
    assert list(inject(tower())) == ['unit.conv']

    @register_block_adapter(Tower)
    def places_of_tower(block):
        return [
            Place(block, 'shortcut', 'shortcut', adds_input=True),
            Place(block, 'weigh', after=block.scale),
        ]

    assert places_of_tower(Tower())
    model = tower().train()
    sites = inject(model)
    assert list(sites) == ['shortcut', 'weigh', 'unit.conv']
    model(torch.randn(2, 4, 9, 9))
    assert all(site.layer.seen_units > 0 for site in sites.values())


def test_the_latest_and_the_nearest_registration_counts():
    register_block_adapter(Tower)(lambda block: [])
    register_block_adapter(HigherTower)(
        lambda block: [Place(block, 'all', after=block)]
    )
    assert list(inject(HigherTower())) == ['all', 'unit.conv']
    with pytest.raises(ValueError, match='no site'):  # an empty list keeps it out
        inject(Tower())
    register_block_adapter(Tower)(lambda block: None)  # the built-in rules do
    assert list(inject(Tower())) == ['unit.conv']


def test_a_registered_block_may_leave_the_rest_to_the_rules():
    register_block_adapter(BasicBlock)(lambda block: None)
    assert list(inject(BasicBlock())) == ['shortcut', 'conv1', 'conv2']


@pytest.mark.parametrize('wrong', ['Tower', Tower(), int])
def test_only_module_classes_can_be_registered(wrong):
    with pytest.raises(TypeError, match=r'Write @register_block_adapter\(MyBlock\)'):
        register_block_adapter(wrong)


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (dict(), 'no way to reach it. Give exactly one of after, slot, adds_input'),
        (dict(slot='downsample', adds_input=True), 'has slot and adds_input'),
        (dict(slot='downsample', kind='conv2'), "kind='conv2' is neither"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        Place(BasicBlock(), 'here', **options)


def test_two_places_of_one_name_are_refused():
    @register_block_adapter(Tower)
    def places_of_tower(block):
        return [Place(block, 'conv', after=m) for m in (block.scale, block.unit.norm)]

    model = Tower()
    with pytest.raises(ValueError, match=r"\(Tower\) has two places named 'conv'"):
        inject(model)
    assert not any(isinstance(m, DropBlock2d) for m in model.modules())
