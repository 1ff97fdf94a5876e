"""A process that died is named, and not where the others waited for it."""

import pytest

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.lost_ranks import LostRankError, naming_lost_ranks

# What was heard of a rank that kill -9 had ended, by gloo of torch 2.14.
HEARD = (
    '[/src/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error '
    '[127.0.0.1]:57531: Connection reset by peer. This is typically caused by a remote '
    'worker hanging or bugs in the application.'
)


@pytest.mark.parametrize('said', [HEARD, HEARD.replace('reset', 'closed')])
def test_another_process_died(said):
    with (
        pytest.raises(LostRankError, match=r"--resume goes on in 'runs/a'"),
        naming_lost_ranks('runs/a'),
    ):
        raise RuntimeError(said)


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('shape mismatch'),
        RuntimeError('Connection reset by peer'),  # of a download, say
        RefusedValueError('gloo: Connection reset by peer'),
        KeyError('gloo'),
    ],
)
def test_all_else_passes(error):
    with pytest.raises(type(error)) as found, naming_lost_ranks('runs/a'):
        raise error
    assert found.value is error
