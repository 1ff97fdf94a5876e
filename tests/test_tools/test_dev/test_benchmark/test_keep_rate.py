"""What an implementation really keeps."""

import pytest


def test_distance_from_the_expectation_is_held_to_the_gate(part):
    module, mean = part('keep_rate'), part('report').Mean
    exact = dict(name='exact', a=0.9, b=0.5)
    near = dict(name='ours', a=mean(0.901, 0.001), b=mean(0.496, 0.001))
    far = dict(name='ours', a=mean(0.901, 0.001), b=mean(0.494, 0.001))
    assert module.gate(exact, near).value == pytest.approx(4)
    assert module.gate(exact, near).passed
    assert not module.gate(exact, far).passed


def test_what_a_peer_refuses_is_named(part):
    settings = part('settings').make_settings('cpu', quick=True, repeats=None)
    case = (0.9, 4, (20, 20))
    rate = part('keep_rate').keep_rate(part('peers').DENSE, case, settings, 2)
    assert rate == 'ValueError'
