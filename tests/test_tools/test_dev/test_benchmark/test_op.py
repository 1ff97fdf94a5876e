"""The op's pairs, gates and losses."""

import pytest


@pytest.fixture
def verdicts(part, op_rows):
    """A function that holds made-up ratios to the gates."""

    def judge(*ratios, device='cpu', **options):
        settings = part('settings').Settings(device)
        gates = part('op').gates(op_rows(*ratios, **options), settings)
        return [gate.verdict for gate in gates]

    return judge


def test_gates_on_the_cpu(verdicts):
    fast = verdicts([30, 26, 24, 20], [0.8, 0.7, 0.9, 0.9])
    assert fast == ['PASS'] * 5 + ['aim reached'] * 5
    slow = verdicts([30, 17, 17, 11], [0.8, 0.6, 0.9, 0.9])
    assert slow[:5] == ['FAIL', 'PASS', 'PASS', 'PASS', 'FAIL']
    assert slow[5:] == [
        'aim missed',
        'aim reached',
        'aim missed',
        *['aim reached'] * 2,
    ]


def test_only_large_inputs_aim_at_the_cost_of_a_product(verdicts):
    found = verdicts([30], [0.1], units=1_000_000)
    assert found == ['PASS', 'PASS', 'aim reached']


def test_gates_on_a_gpu(verdicts):
    found = verdicts([7, 5], [0.9, 0.7], device='cuda')
    assert found == ['PASS', 'FAIL', 'PASS', 'FAIL']


def test_losses_are_said(part, op_rows):
    op = part('op')
    assert op.verdict(4.0) == '4.0x faster'
    assert op.verdict(0.25) == '4.0x SLOWER'
    assert op.verdict(0.98) == '1.02x SLOWER'
    assert op.losses(op_rows([20.0, 0.5], [0.25, 1.5])) == [
        'dropblock_mm is slower than dense algorithm: 2.0x at case 1',
        'dropblock_mm is slower than x * c: 4.0x at case 0',
    ]


def test_shared_masks_are_held_against_ours_of_both_kinds(part):
    peers = part('peers')
    other = peers.of_function('other', peers.dense_drop_block, shared=True)
    against = [b for a, b in part('op').pairings([other]) if a is other]
    assert against == [peers.OURS, peers.OURS_SHARED]
