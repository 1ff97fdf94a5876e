"""Look at every page of the built documentation in Chromium, wide and on a phone.

Each page is measured and photographed at each width. The command fails if a page is
wider than its window, or if something in it is cut: a table, a picture or a block of
code is either as wide as the text or scrolls by itself. It also names tables with tall
cells, which are read badly. Chromium is spoken to through a pipe, so that nothing is
needed but itself (``sudo apt install chromium``).

Examples::

    make docs
    python -m tools.dev.look_at_docs --out work_dirs/pages
    python -m tools.dev.look_at_docs --only guide values --widths 390
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropblock_mm.commands.progress import progress

BUILT = Path(__file__).resolve().parents[2] / 'docs' / 'en' / '_build' / 'html'
WIDTHS = (1400, 390)
MOST_LINES = 8  # of a cell in a table
PATIENCE = 120  # seconds
MOST_PIXELS = 16_000  # of a picture's height; Chromium takes no more in one

# What is wrong on a page, in words. Something that scrolls by itself, or stands in
# something that does, is not cut. The columns of contents are folded on a phone.
FAULTS = """
(() => {
  const faults = [], width = document.documentElement.clientWidth;
  const wide = document.documentElement.scrollWidth;
  if (wide > width) faults.push(`the page is ${wide} wide`);
  const scrolls = (e) => {
    for (; e && e.tagName !== 'ARTICLE'; e = e.parentElement)
      if (['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) return true;
    return false;
  };
  for (const e of document.querySelectorAll('article *')) {
    const box = e.getBoundingClientRect(), name = e.tagName.toLowerCase();
    if (box.width && box.right > width + 1 && !scrolls(e))
      faults.push(`${name} ends at ${Math.round(box.right)}: ` +
                  e.textContent.trim().slice(0, 40));
    if (name === 'img' && !e.naturalWidth) faults.push(`no picture: ${e.src}`);
    if (name === 'td') {
      const line = parseFloat(getComputedStyle(e).lineHeight) || 20;
      const range = document.createRange();
      range.selectNodeContents(e);
      const lines = Math.round(range.getBoundingClientRect().height / line);
      if (lines > MOST_LINES)
        faults.push(`a cell of ${lines} lines: ${e.textContent.trim().slice(0, 40)}`);
    }
  }
  return {faults: [...new Set(faults)], height: document.documentElement.scrollHeight};
})()
""".replace('MOST_LINES', str(MOST_LINES))


class Browser:
    """Chromium behind its two pipes: one page, commands and their answers."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = os.fdopen(write, 'wb'), os.fdopen(read, 'rb')
        self._asked, self._rest = 0, b''
        self._session: str | None = None
        target = self.ask('Target.createTarget', url='about:blank')['targetId']
        attached = self.ask('Target.attachToTarget', targetId=target, flatten=True)
        self._session = attached['sessionId']

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and return its answer.

        Raises:
            RuntimeError: If Chromium refuses it, or has ended.
        """
        self._asked += 1
        command = {'id': self._asked, 'method': method, 'params': params}
        if self._session:
            command['sessionId'] = self._session
        self._write.write(json.dumps(command).encode() + b'\0')
        self._write.flush()
        answer = next(m for m in self._messages() if m.get('id') == self._asked)
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]["message"]}')
        return answer['result']

    def open(self, page: Path, width: int, height: int = 900) -> None:
        """Open a file in a window of a size, and wait until it is loaded."""
        self.ask(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        self.ask('Page.navigate', url=page.as_uri())
        until = time.monotonic() + PATIENCE
        here = json.dumps(page.name)
        loaded = f'document.readyState === "complete" && location.href.endsWith({here})'
        while not self.value_of(loaded):
            if time.monotonic() > until:
                raise RuntimeError(f'{page} is not loaded after {PATIENCE} s')
            time.sleep(0.02)

    def value_of(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.ask('Runtime.evaluate', expression=expression, returnByValue=True)
        return answer['result'].get('value')

    def photograph(self, width: int, height: int) -> bytes:
        """Return the page as a PNG."""
        area = dict(x=0, y=0, width=width, height=height, scale=1)
        answer = self.ask(
            'Page.captureScreenshot', clip=area, captureBeyondViewport=True
        )
        return base64.b64decode(answer['data'])

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            message, end, rest = self._rest.partition(b'\0')
            if end:
                self._rest = rest
                yield json.loads(message)
                continue
            more = self._read.read1(1 << 16)
            if not more:
                raise RuntimeError('Chromium ended')
            self._rest += more


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """Start Chromium without a window, and end it afterwards."""
    (to_read, write), (read, to_write) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # It reads commands from 3 and answers on 4.
        shell = f'exec 3<&{to_read} 4>&{to_write} "$@"'
        options = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars']
        options += ['--remote-debugging-pipe', f'--user-data-dir={profile}']
        process = subprocess.Popen(
            ['bash', '-c', f'exec {shell[5:]}', 'bash', program, *options],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            yield Browser(write, read)
        finally:
            process.terminate()
            process.wait()


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--html', type=Path, default=BUILT, help='the built pages (%(default)s)'
    )
    parser.add_argument('--out', type=Path, help='folder for the pictures, if wanted')
    parser.add_argument('--only', nargs='+', metavar='PAGE', help='names of pages')
    parser.add_argument('--widths', nargs='+', type=int, default=WIDTHS)
    return parser.parse_args(argv)


def pages_of(folder: Path, only: Sequence[str] | None) -> list[Path]:
    """Return the pages that were written by hand, or those of them that were named."""
    made = {'genindex', 'search', 'py-modindex'}
    return [
        page
        for page in sorted(folder.glob('*.html'))
        if page.stem not in made and (not only or page.stem in only)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Look at the pages; 1 if something is wrong on one."""
    args = parse_args(argv)
    program = shutil.which('chromium') or shutil.which('chromium-browser')
    pages = pages_of(args.html, args.only)
    if program is None or not pages:
        missing = 'chromium is not on the PATH' if pages else f'no page in {args.html}'
        print(f'error: {missing}', file=sys.stderr)
        return 2
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    found = 0
    looks = [(page, width) for page in pages for width in args.widths]
    with chromium(program) as browser, progress('pages', len(looks)) as advance:
        for page, width in looks:
            browser.open(page, width)
            seen = browser.value_of(FAULTS)
            for fault in seen['faults']:
                found += 1
                print(f'{page.stem} at {width}: {fault}')
            if args.out:
                height = min(seen['height'], MOST_PIXELS)
                picture = browser.photograph(width, height)
                (args.out / f'{page.stem}_{width}.png').write_bytes(picture)
            advance(page.stem)
    print(f'{len(looks)} looks at {len(pages)} pages: {found or "no"} faults')
    return int(found > 0)


if __name__ == '__main__':
    sys.exit(main())
