# PYTHON_ARGCOMPLETE_OK
"""``python -m dropblock_mm COMMAND ...``: the commands of tools/, from a wheel too."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.programs import INTERRUPTED, MODULE, PROGRAMS, SCRIPT, module_of

USAGE_ERROR = 2
# What commands need beyond torch, and what brings it.
BROUGHT_BY = {
    'mmengine': "MMEngine: pip install 'dropblock_mm[openmmlab]', or [onedl]",
    'matplotlib': "Matplotlib: pip install 'dropblock_mm[demo]'",
    'PIL': "Pillow: pip install 'dropblock_mm[demo]'",
    'rich': 'Rich: pip install rich',
}


def overview(program: str) -> str:
    """Return the list of commands."""
    width = max(map(len, PROGRAMS))
    lines = [f'  {name:<{width}}  {known.help}' for name, known in PROGRAMS.items()]
    return '\n'.join(
        [
            f'usage: {program} COMMAND [arguments]',
            '',
            'DropBlock for OpenMMLab models.',
            '',
            'commands:',
            *lines,
            '',
            f'{program} COMMAND --help tells more of each.',
        ]
    )


def unknown(program: str, name: str) -> str:
    """Return the message for a command that does not exist."""
    near = difflib.get_close_matches(name.replace('_', '-'), PROGRAMS, cutoff=0.5)
    hint = f'did you mean {" or ".join(near)}?' if near else f'see {program} --help'
    return f'{program}: {name!r} is no command; {hint}'


def complete_command() -> int | None:
    """Answer a shell that asks for completions of a command's name, or its arguments.

    argcomplete is told how many words are the program's, and is given the whole line.
    """
    words = os.environ.get('COMP_LINE', '').split()
    own = int(os.environ['_ARGCOMPLETE'])
    name = words[own] if len(words) > own else ''
    typed_whole = len(words) > own + 1 or os.environ.get('COMP_LINE', '').endswith(' ')
    if name in PROGRAMS and typed_whole:
        os.environ['_ARGCOMPLETE'] = str(own + 1)
        return importlib.import_module(module_of(name)).main([])
    # Imported like a command, when it is asked for.
    importlib.import_module(module_of('arguments')).complete_word(list(PROGRAMS))
    return 0


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run the command that is named first; return its exit status."""
    program = MODULE if Path(sys.argv[0]).name == '__main__.py' else SCRIPT
    if '_ARGCOMPLETE' in os.environ:
        return complete_command()
    name, *rest = (sys.argv[1:] if argv is None else list(argv)) or ['--help']
    if name in ('-h', '--help'):
        print(overview(program))
        return 0
    if name not in PROGRAMS:
        print(unknown(program, name), file=sys.stderr)
        return USAGE_ERROR
    # The commands' parsers, and messages that say what to type, begin with this.
    sys.argv = [f'{program} {name}', *rest]
    try:
        return importlib.import_module(module_of(name)).main(rest)
    except ModuleNotFoundError as error:
        missing = (error.name or '').partition('.')[0]
        if missing not in BROUGHT_BY:
            raise
        print(f'error: {name} needs {BROUGHT_BY[missing]}', file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:  # while it is imported; later, the command says more
        print('\ninterrupted', file=sys.stderr)
        return INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
