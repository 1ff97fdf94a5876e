"""Other formats, and what they are held to."""

import torch


def test_halves_are_held_to_half_and_layouts_to_the_same(part):
    formats, case = part('formats'), part('settings').CPU_CASES[0]
    plain, *others = formats.formats_of(case)
    assert plain == case
    assert {found.dtype for found in others} == {
        torch.bfloat16, torch.float16, torch.float32
    }  # fmt: skip
    verdicts = [formats.gate(found, 0.6).passed for found in others]
    assert verdicts == [False, False, True]
    assert not formats.gate(others[-1], 1.01).passed


def test_only_the_largest_input_is_gated(part):
    settings = part('settings').make_settings('cpu', quick=True, repeats=1)
    section = part('report').Section('op', 'Op')
    part('formats').add_to(section, settings)
    (table,) = section.tables
    assert len(table.rows) == 4 * len(settings.cases)
    assert len(section.gates) == 3
    assert all(str(settings.cases[0]) in gate.name for gate in section.gates)
