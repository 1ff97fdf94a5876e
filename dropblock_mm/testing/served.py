"""What must hold for a model that has DropBlock, beside the same model without."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dropblock_mm import inject, inject_drop_block
from dropblock_mm.injection import Site
from dropblock_mm.injection.adapters.blocks import is_conv, is_norm

Pairs = set[tuple[str, str]]


def tensors_in(output: Any) -> list[Tensor]:
    """Return the tensors in nested lists and tuples."""
    if torch.is_tensor(output):
        return [output]
    parts = output if isinstance(output, (list, tuple)) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def check_is_served(plain: nn.Module, images: Tensor) -> tuple[list[Site], Pairs]:
    """Attach DropBlock everywhere in a copy and compare it with the model.

    The state_dict and what evaluation returns must be the same, and the same
    parameters must get a gradient. Every layer must be called in a training step, but
    for those in frozen parts.

    Args:
        plain: A model that maps images to tensors, in nested lists or tuples.
        images: Tensor[N, C, H, W].

    Returns:
        tuple[list[Site], Pairs]: The sites, and (conv, norm), by name, for every norm
        that follows a convolution but is in no site.

    Raises:
        AssertionError: If one of these does not hold.
    """
    model = copy.deepcopy(plain)
    model.train()
    sites = inject_drop_block(model, [{'module': ''}], keep_prob=0.9, block_size=2)
    assert list(model.state_dict()) == list(plain.state_dict())
    before, after = evaluate(plain, images), evaluate(model, images)
    for wanted, given in zip(before, after, strict=True):
        assert torch.equal(wanted.nan_to_num(), given.nan_to_num())
    with executed_pairs(plain) as pairs:
        trained = train_once(plain, images)
    assert train_once(model, images) == trained
    idle = [site for site in sites if not site.layer.seen_units]
    assert idle == [site for site in sites if site.frozen]
    return sites, uncovered(model, sites, pairs)


@torch.no_grad()
def check_branches(model: nn.Module, images: Tensor) -> list[Site]:
    """Drop every residual branch: each block is to return its skip connection.

    The layers stay in the model, and it in training mode.

    Args:
        model: A model that maps images to maps.
        images: Tensor[N, C, H, W].

    Returns:
        list[Site]: The sites, one for each block.

    Raises:
        AssertionError: If a block returns anything else, or is not called.
        ValueError: If there is no block with a skip connection.
    """
    sites = inject(model, [{'module': ''}], layer='DropPath', keep_prob=0.0)
    by_block = {site.place.owner: site for site in sites}
    skipped: list[Tensor] = []

    def note_input(block: nn.Module, inputs: tuple[Any, ...]) -> None:
        skipped[:] = [x.clone() for x in tensors_in(inputs[0])]

    def note_projection(slot: nn.Module, inputs: Any, output: Tensor) -> None:
        projections.append(output.clone())

    def compare(block: nn.Module, inputs: Any, output: Any) -> None:
        wanted, outputs = projections or skipped, tensors_in(output)
        if getattr(block, 'concat_output', False):  # Trident's last
            wanted = [torch.cat(wanted)]
        wanted = wanted if len(wanted) == len(outputs) else wanted * len(outputs)
        if by_block[block].layer.training:  # else in a frozen stage
            for x, out in zip(wanted, outputs, strict=True):
                act: Any = getattr(block, 'relu', torch.relu)
                returned = (x, x.relu(), act(x.clone()))
                assert any(torch.equal(out, y) for y in returned), type(block)
        projections.clear()

    projections: list[Tensor] = []
    slots = [
        getattr(block, name, None)
        for block in by_block
        for name in ('downsample', 'shortcut', 'proj')
    ]
    hooks = [block.register_forward_pre_hook(note_input) for block in by_block]
    hooks += [block.register_forward_hook(compare) for block in by_block]
    hooks += [
        slot.register_forward_hook(note_projection)
        for slot in slots
        if isinstance(slot, nn.Module)
    ]
    model.train()
    model(images)
    for hook in hooks:
        hook.remove()
    idle = [site for site in sites if not site.layer.seen_units]
    assert idle == [site for site in sites if site.frozen]
    return sites


@torch.no_grad()
def evaluate(model: nn.Module, images: Tensor) -> list[Tensor]:
    """Return what a model returns in eval mode."""
    model.eval()
    return tensors_in(model(images))


def train_once(model: nn.Module, images: Tensor) -> set[str]:
    """Make a step, and return the names of the parameters that got a gradient."""
    model.train()
    for module in model.modules():
        # Untrained statistics (norm_eval) let activations overflow, and deformable
        # convolutions read beyond the map for offsets that are not finite.
        if is_norm(module) and getattr(module, 'eps', 0.0) > 0.0:
            module.train()
    loss = torch.stack([out.square().mean() for out in tensors_in(model(images))]).sum()
    if loss.requires_grad:  # else all of it is frozen, as where a head alone is trained
        loss.backward()
    return {name for name, p in model.named_parameters() if p.grad is not None}


@contextmanager
def executed_pairs(model: nn.Module) -> Iterator[Pairs]:
    """Yield a set that fills with (conv, norm), by name, where the one feeds the other.

    On a map of one unit there is attention, not a feature map, so it does not count.
    """
    names = {module: name for name, module in model.named_modules()}
    came_from: dict[int, nn.Module] = {}
    kept: list[Tensor] = []
    pairs: Pairs = set()

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        for tensor in tensors_in(inputs):
            conv = came_from.get(id(tensor))
            if conv and is_norm(module) and tensor.shape[-2:].numel() > 1:
                pairs.add((names[conv], names[module]))
        for tensor in tensors_in(output) if is_conv(module) else ():
            kept.append(tensor)  # or another tensor could get its id
            came_from[id(tensor)] = module

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    yield pairs
    for hook in hooks:
        hook.remove()


def uncovered(model: nn.Module, sites: list[Site], pairs: Pairs) -> Pairs:
    """Return those of the pairs that are in no site, and in no projection that is."""
    names = {module: name for name, module in model.named_modules()}
    # In a Sequential the convolution is the owner, whatever the layer comes after.
    covered = {names[site.place.owner] for site in sites}
    for after in (site.place.after for site in sites):
        covered |= set() if after is None else {names[m] for m in after.modules()}
    return {pair for pair in pairs if covered.isdisjoint(pair)}
