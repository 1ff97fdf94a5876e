"""What a library imports and a training never uses is loaded when it is used."""

import builtins
import contextlib
import sys
import textwrap

import pytest

from dropblock_mm.starting import late_imports
from dropblock_mm.starting.late_imports import importing_late, put_real_ones


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Make `late_user`, which imports `seldom` in all the ways that libraries do."""
    package = tmp_path / 'seldom' / 'inner'
    package.mkdir(parents=True)
    (tmp_path / 'seldom/__init__.py').write_text('')
    (package / '__init__.py').write_text('def shout(word):\n    return word.upper()\n')
    (package / 'things.py').write_text("SIZES = {'a': 1}\nclass Thing:\n    size = 3\n")
    (tmp_path / 'late_user.py').write_text(
        textwrap.dedent(
            """
            import seldom
            import seldom.inner as inner
            import seldom.inner.things as contents
            from seldom.inner import shout, things
            from seldom.inner.things import Thing
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(late_imports.LATE, 'late_user', ('seldom',))
    monkeypatch.setattr(late_imports, '_ANY', ('seldom',))
    monkeypatch.setattr(late_imports, '_given_to', [])
    yield importer
    for name in [n for n in sys.modules if n.split('.')[0] in ('seldom', 'late_user')]:
        del sys.modules[name]


def importer():
    with importing_late():
        import late_user
    return late_user


def test_importing_loads_nothing_and_using_does(library):
    user = library()
    assert 'seldom' not in sys.modules
    assert user.shout('a') == 'A'
    assert 'seldom.inner' in sys.modules
    assert user.inner.shout('b') == user.seldom.inner.shout('b') == 'B'


def test_a_class_is_derived_from_and_asked_for_instances(library):
    user = library()

    class Mine(user.Thing):
        pass

    real = sys.modules['seldom.inner.things'].Thing
    assert issubclass(Mine, real)
    assert Mine.size == 3
    assert isinstance(real(), user.Thing)
    assert issubclass(Mine, user.Thing)
    assert not isinstance(3, user.Thing)


def test_a_module_taken_from_a_package_shows_what_is_in_it(library):
    user = library()
    assert user.things.Thing.size == 3
    assert 'Thing' in dir(user.things)
    assert 'shout' in dir(user.inner)


def test_what_a_module_holds_is_the_real_thing(library):
    user = library()
    assert 'seldom' not in sys.modules
    assert user.contents.SIZES['a'] == 1
    with pytest.raises(AttributeError, match='no_such'):
        _ = user.contents.no_such


def test_others_get_the_real_thing(library):
    with importing_late():
        import seldom.inner
    assert seldom.inner is sys.modules['seldom.inner']
    assert library().seldom is seldom  # what is loaded needs no stand-in


def test_an_absent_package_is_an_error_at_once(library, monkeypatch):
    monkeypatch.setattr(late_imports, '_ANY', ('seldom', 'absent_package'))
    monkeypatch.setitem(late_imports.LATE, 'late_user', ('absent_package',))
    names = {'__name__': 'late_user'}
    with importing_late(), pytest.raises(ModuleNotFoundError, match='absent_package'):
        exec('import absent_package', names)


def test_stand_ins_give_way_to_the_real_ones(library):
    user = library()
    put_real_ones()
    assert user.shout is sys.modules['seldom.inner'].shout
    assert user.Thing is sys.modules['seldom.inner.things'].Thing
    assert user.seldom is sys.modules['seldom']


def test_the_way_of_importing_is_put_back():
    before = builtins.__import__
    with contextlib.suppress(ZeroDivisionError), importing_late():
        assert builtins.__import__ is not before
        raise ZeroDivisionError
    assert builtins.__import__ is before
