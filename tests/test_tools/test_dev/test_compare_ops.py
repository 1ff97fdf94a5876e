"""Which differences between two builds of mmcv are seen; the builds are left out."""

from types import SimpleNamespace

import pytest
import torch

from tools.dev.compare_ops.__main__ import differences
from tools.dev.compare_ops.recorder import Recorder


def noted(factor=2.0, **more):
    """What is recorded of a test that has an op write into a buffer."""

    def scale(x, out, power):
        out[0] = factor * x[0] ** power

    ext = SimpleNamespace(scale=scale, __doc__='', version=3, **more)
    recorder = Recorder(ext)
    recorder.test = 'test_scale'
    ext.scale(torch.tensor([3.0]), torch.zeros(2), power=1)
    return {'names': recorder.names, 'calls': recorder.calls}


def test_equal_numbers_are_no_difference():
    assert noted() == noted()
    assert differences(noted(), noted()) == []


def test_a_number_that_is_left_in_a_buffer_counts_to_the_last_bit():
    other = noted(torch.nextafter(torch.tensor(2.0), torch.tensor(3.0)))
    assert differences(noted(), other) == ['test_scale: scale differs']


def test_an_op_that_one_build_lacks_is_named():
    found = differences(noted(), noted(nms=print))
    assert found == ['nms: in one of them alone']


@pytest.mark.parametrize('calls', [{}, {'test_scale': [('nms', 'digest')]}])
def test_a_test_that_calls_other_ops_is_named(calls):
    other = {**noted(), 'calls': calls}
    assert differences(noted(), other) == ['test_scale: other ops are called']
