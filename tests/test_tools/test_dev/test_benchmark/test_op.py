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
    fast = verdicts([40, 36, 24, 20], [0.8, 0.78, 0.9, 0.9])
    assert fast == ['PASS'] * 9
    slow = verdicts([30, 27, 27, 11], [0.8, 0.7, 0.9, 0.9])
    assert slow[:5] == ['FAIL', 'PASS', 'PASS', 'PASS', 'FAIL']
    assert slow[5:] == ['PASS', 'FAIL', 'PASS', 'PASS']


def test_small_inputs_may_cost_more_than_a_product(verdicts):
    assert verdicts([30], [0.7], units=1_000_000) == ['PASS'] * 3
    assert verdicts([30], [0.6], units=1_000_000) == ['PASS', 'PASS', 'FAIL']


def test_no_peer_with_a_shared_mask_may_be_faster(part):
    op, peers, spread = part('op'), part('peers'), part('report').Spread
    settings = part('settings').Settings()
    rows = [
        dict(case='a', units=1, peer=name, against=against, ratio=spread(*[r] * 3, 9))
        for name, against, r in (
            (peers.DENSE.name, peers.OURS.name, 30.0),
            ('fast', peers.OURS.name, 0.5),
            ('fast', peers.OURS_SHARED.name, 0.9),
            ('slow', peers.OURS_SHARED.name, 1.1),
        )
    ]
    found = {gate.name: gate.passed for gate in op.gates(rows, settings)}
    assert found['fast / ours shared, a'] is False
    assert found['slow / ours shared, a'] is True
    assert len(found) == 4


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
