"""Whatever the hooks are given, they are built, or name the argument to blame."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmengine.registry import HOOKS

import dropblock_mm.hooks  # noqa: F401
from dropblock_mm.errors import RefusedError

plain = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ['', '0.9', 'auto', 'linear', 'both', 'DropPath', 'backbone', '(']
    )
    | st.sampled_from([b'x', 1j, object(), int, (1, 2), {3}])
)
plain_keys = st.integers(0, 3) | st.none()
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(['module', 'where', 'layer', 'keep_prob', 'x'])
            | plain_keys,
            inner,
            max_size=2,
        )
    ),
    max_leaves=5,
)
TARGET = {'module': 'backbone.layer4'}
OF_TARGETS = (
    *('module', 'where', 'layer', 'keep_prob', 'grows_with_depth', 'block_size'),
    *('gamma_scale', 'calibrated', 'shared_mask', 'blocksize'),
)
# Sound arguments, and the names of all, with one that there is not.
HOOKS_OF_OURS = {
    'DropBlockInjectionHook': (
        dict(targets=[TARGET]),
        ('targets', 'block_size', 'keep_prob', 'where', 'gamma_scale', 'calibrated')
        + ('shared_mask', 'blocksize'),
    ),
    'InjectionHook': (
        dict(targets=[TARGET], layer='DropPath'),
        ('targets', 'layer', 'keep_prob', 'where', 'block_size', 'drop_scale', 'blk'),
    ),
    'KeepProbScheduleHook': (
        dict(keep_prob=0.9),
        ('keep_prob', 'schedule', 'start_keep_prob', 'begin', 'end', 'unit')
        + ('num_steps', 'keepprob'),
    ),
    'KeepRateHook': ({}, ('interval',)),
}


@st.composite
def hooks(draw):
    """A hook's config with one to three arguments replaced."""
    kind = draw(st.sampled_from(sorted(HOOKS_OF_OURS)))
    sound, names = HOOKS_OF_OURS[kind]
    changed = draw(
        st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3)
    )
    arguments = sound | changed
    if 'Injection' in kind and draw(st.booleans()):
        own = st.dictionaries(st.sampled_from(OF_TARGETS), values, max_size=2)
        arguments['targets'] = [TARGET | draw(own)]
    return kind, arguments


def said_of(kind, arguments):
    """What is refused, in words; None where the hook is built."""
    try:
        HOOKS.build(dict(type=f'dropblock_mm.{kind}', **arguments))
    except RefusedError as refusal:
        return str(refusal)
    return None


# The same examples in every run: what a search finds becomes an example above.
@settings(max_examples=400, deadline=None, derandomize=True)
@given(hooks())
@example(('DropBlockInjectionHook', dict(targets=[{None: None}])))
@example(('KeepRateHook', dict(interval=3)))
@example(('KeepProbScheduleHook', dict(keep_prob=0.9, schedule=[])))
@example(('KeepProbScheduleHook', dict(keep_prob=0.9, unit={})))
def test_any_arguments(hook):
    kind, arguments = hook
    said = said_of(kind, arguments)
    if said is not None:
        assert kind in said
        named = {*arguments, *OF_TARGETS}
        assert any(name in said for name in named), said


def test_sound_ones_are_built():
    for kind, (sound, _) in HOOKS_OF_OURS.items():
        assert said_of(kind, sound) is None
