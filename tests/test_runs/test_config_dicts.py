"""The walk over the dicts of a config."""

from dropblock_mm.runs.config_dicts import dicts_in


def test_every_dict_is_met_with_its_place_the_outermost_first():
    inner = {'type': 'B'}
    config = {'a': 1, 'model': {'heads': [inner, 'text', ({'type': 'C'},)]}}
    assert [*dicts_in(config)] == [
        ('', config),
        ('model.', config['model']),
        ('model.heads.0.', inner),
        ('model.heads.2.0.', {'type': 'C'}),
    ]


def test_a_prefix_stands_before_every_place():
    assert [place for place, _ in dicts_in([{}, {'x': {}}], 'hooks.')] == [
        *('hooks.0.', 'hooks.1.', 'hooks.1.x.')
    ]


def test_what_holds_no_dict_has_none():
    assert [*dicts_in(None)] == [*dicts_in('text')] == [*dicts_in([1, [2]])] == []
