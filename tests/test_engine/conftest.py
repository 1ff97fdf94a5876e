"""Keeps the tests of the engine independent of their order."""

from collections import OrderedDict

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def no_default_scope(monkeypatch):
    """Begin as a new process does: a Runner sets the scope of all that follows."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
