"""Says which registered name was meant by one that is not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

import mmengine.registry
from mmengine.registry import Registry

from dropblock_mm.runs.type_names import bare_name

_UNREGISTERED = re.compile(r'^(\S+) is not in the (?:(\S+)::)?(.+?) registry')


def meant_by(said: str) -> str:
    """Word what may have been meant, for MMEngine's 'X is not in the Y registry'.

    Returns:
        str: A sentence with a space before it; '' if nothing is near, or MMEngine said
        something else.
    """
    found = _UNREGISTERED.search(said)
    root = found and _root(found[3])
    if not found or not root:
        return ''
    near = near_names(found[1], root, found[2] or '')
    return f' Did you mean type={" or type=".join(map(repr, near))}?' if near else ''


def near_names(name: str, root: Registry, scope: str) -> list[str]:
    """Find registered names like one that is not registered, the best first.

    The same name in another library comes before all others: then only the prefix is
    missing, or wrong.

    Args:
        name: What the config says, with a prefix or without.
        root: The registry that all libraries' are children of.
        scope: In which names need no prefix.
    """
    known = list(dict.fromkeys(_names(root, scope)))
    same = [full for full in known if bare_name(full) == bare_name(name)]
    if same:
        return same[:3]
    # Of namesakes the one that needs no prefix is meant.
    by_bare = {bare_name(full): full for full in known if '.' in full}
    by_bare |= {full: full for full in known if '.' not in full}
    near = difflib.get_close_matches(bare_name(name), by_bare, n=3, cutoff=0.75)
    return [by_bare[bare] for bare in near]


def _root(name: str) -> Registry | None:
    """MMEngine's registry of that name; libraries' are children of it."""
    return next(
        (
            registry
            for registry in vars(mmengine.registry).values()
            if isinstance(registry, Registry) and registry.name == name
        ),
        None,
    )


def _names(root: Registry, scope: str) -> Iterator[str]:
    """Every name as a config has to write it. Who is asked has imported its own."""
    yield from root.module_dict
    for child in list(root.children.values()):  # an import can bring more
        if child.scope in (scope, 'dropblock_mm'):
            child.import_from_location()
        prefix = '' if child.scope == scope else f'{child.scope}.'
        yield from (f'{prefix}{name}' for name in child.module_dict)
