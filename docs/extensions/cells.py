"""Pages that run: a Sphinx directive that executes its cell and shows what came out.

In a page, in MyST Markdown::

    ```{cell}
    :tail: 6
    :picture: maps.png
    :alt: Where both models look
    python -m dropblock_mm activation-maps --model plain --out maps.png
    ```

A cell is a shell script. All cells of a page run one after the other in one folder,
which is new each time that Sphinx reads the page. It reads a page again only when the
page changed, so a second build of the documentation runs nothing. A cell that fails,
or leaves no picture where it says so, fails the build.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1200  # that a cell may take, on a machine that has other work too
PATIENCE = 30  # seconds for what a cell started to end politely
# Below the sources, for that is where Sphinx looks for pictures; not a source itself.
RESULTS = '_build/cells'
_COLOURS = re.compile(r'\x1b\[[0-9;?]*[a-zA-Z]')
_LOG = logging.getLogger(__name__)


class Cell(SphinxDirective):
    """Runs a shell script in the page's folder."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        'tail': directives.nonnegative_int,
        'picture': directives.unchanged_required,
        'alt': directives.unchanged_required,
        'download': directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Return the script, what it printed, and what it left."""
        script = '\n'.join(self.content)
        folder = Path(self.env.srcdir, RESULTS, self.env.docname)
        place = f'{self.env.docname}:{self.lineno}'
        _LOG.info('cell %s: %s', place, script.partition('\n')[0])
        printed = as_read(run_script(script, folder, place), folder)
        found: list[nodes.Node] = [_block(script, 'shell', 'cell')]
        tail = self.options.get('tail')
        lines = printed.splitlines()
        shown = lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]
        if shown:
            found.append(_block('\n'.join(shown), 'text', 'cell-output'))
        if name := self.options.get('picture'):
            uri = self._left(folder, name, place)
            picture = nodes.image(uri=uri, alt=self.options.get('alt', name))
            found.append(nodes.paragraph('', '', picture))  # as in Markdown
        if name := self.options.get('download'):
            target = self._left(folder, name, place)
            link = addnodes.download_reference(
                '', reftarget=target, refdoc=self.env.docname, refdomain=''
            )
            link += nodes.literal('', name)
            found.append(nodes.paragraph('', '', link))
        return found

    def _left(self, folder: Path, name: str, place: str) -> str:
        """Return where Sphinx finds a file that a cell left."""
        if not (folder / name).is_file():
            raise ExtensionError(f'cell {place} left no {name!r}')
        return f'/{RESULTS}/{self.env.docname}/{name}'


def run_script(script: str, folder: Path, place: str) -> str:
    """Run a script, and return all that it printed.

    Args:
        script: For bash.
        folder: Where it runs.
        place: Of the cell, for messages.

    Raises:
        ExtensionError: It failed, or took too long; the message has what it printed.
    """
    paths = {'PATH': str(Path(sys.executable).parent), 'PYTHONPATH': str(ROOT)}
    before = {key: os.environ[key] for key in paths if os.environ.get(key)}
    joined = {
        key: os.pathsep.join(filter(None, [value, before.get(key)]))
        for key, value in paths.items()
    }
    process = subprocess.Popen(
        ['bash', '-euo', 'pipefail', '-c', script],
        cwd=folder,
        env={**os.environ, **joined, 'COLUMNS': '88'},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        # Not as text, which would turn the carriage returns of progress into lines.
        printed = process.communicate(timeout=SECONDS)[0].decode()
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise ExtensionError(f'cell {place} took over {SECONDS} s') from error
        raise
    if process.returncode:
        raise ExtensionError(
            f'cell {place} ended with status {process.returncode}:\n{printed}'
        )
    return printed


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a script with all that it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            return
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            continue


def as_read(printed: str, folder: Path) -> str:
    """Return what a terminal would show at the end, and no path of this machine."""
    plain = _COLOURS.sub('', printed).replace(f'{folder}/', '').replace(f'{ROOT}/', '')
    lines = (
        line.rpartition('\r')[2] for line in plain.replace('\r\n', '\n').split('\n')
    )
    return '\n'.join(line.rstrip() for line in lines).strip('\n')


def _block(text: str, language: str, kind: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, language=language, classes=[kind])


def begin(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give a page with cells a new folder."""
    if '```{cell}' in source[0]:
        folder = Path(app.srcdir, RESULTS, docname)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive('cell', Cell)
    app.connect('source-read', begin)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
