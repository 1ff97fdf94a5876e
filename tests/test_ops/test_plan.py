import dataclasses
from concurrent.futures import ThreadPoolExecutor

import torch

from dropblock_mm.ops.plan import BlockGeometry, Draw, Recipe, Way


def test_seeds_too_rare_for_whole_numbers_of_places_are_drawn_by_bits():
    geometry = BlockGeometry((1, 1, 40, 40), (7, 7))
    assert Draw.of(geometry, 1e-18, 1).way is Way.BITS
    assert Draw.of(geometry, 1e-9, 1).way is Way.GAPS


def test_a_recipe_that_was_changed_is_packed_anew():
    recipe = Recipe(BlockGeometry((1, 2, 9, 9), (3, 3)), 0.1, Way.GAPS)
    first = recipe.pack(0, None)
    assert recipe.packs == {(0, None): first}
    other = dataclasses.replace(recipe, share=0.2)
    assert other.packs == {}
    assert other.pack(0, None) != first
    assert recipe.pack(2, None) != first


def test_keys_come_from_the_generator_and_each_thread_has_its_own():
    recipe = Recipe(BlockGeometry((1, 2, 9, 9), (3, 3)), 0.1, Way.GAPS)
    expected = torch.randint(
        2**63 - 1, (3,), generator=torch.Generator().manual_seed(5)
    )
    generator = torch.Generator().manual_seed(5)
    drawn = [recipe.draw(generator) for _ in range(3)]
    assert [draw.key for draw in drawn] == expected.tolist()
    assert all(type(draw) is Draw and draw.recipe is recipe for draw in drawn)
    torch.manual_seed(5)
    assert recipe.draw(None) == drawn[0]
    torch.manual_seed(5)
    with ThreadPoolExecutor(4) as pool:
        keys = [*pool.map(lambda _: recipe.draw(None).key, range(200))]
    torch.manual_seed(5)
    assert sorted(keys) == sorted(recipe.draw(None).key for _ in range(200))
