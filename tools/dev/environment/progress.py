"""What a person sees of a command that takes minutes."""

import re
import shutil
import sys
import time
from collections.abc import Callable

TERMINAL_SECONDS, PLAIN_SECONDS = 1, 30
TAIL, CLUES = 25, 5
PHRASE, SUMMARY = 60, 300

NINJA = re.compile(r'^\s*\[(\d+)/(\d+)\].*?([\w.-]+)\.o\b')
# What a compiler says long before its callers' tracebacks end the output.
CLUE = re.compile(r'\b(error|FAILED|Killed|No space left)\b')
PIP = re.compile(r'^\s*(Collecting|Downloading|Building|Installing|Processing)\b')


class Progress:
    """One line about a running command: renewed on a terminal, rare in a log.

    Args:
        label (str): What is being done.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.phrase = ''
        self.tail: list[str] = []
        self.clues: list[str] = []
        self.started = time.monotonic()
        self.on_terminal = sys.stdout.isatty()

    def feed(self, line: str) -> None:
        """Take one line of output into account."""
        self.tail = [*self.tail, line][-TAIL:]
        if CLUE.search(line) and len(self.clues) < CLUES:
            self.clues.append(line)
        ninja = NINJA.match(line)
        if ninja:
            done, total = int(ninja[1]), int(ninja[2])
            left = (time.monotonic() - self.started) / done * (total - done)
            self.phrase = f'{done}/{total} files, about {clock(left)} left, {ninja[3]}'
        elif PIP.match(line):
            self.phrase = line.strip()[:PHRASE]

    def summary(self) -> list[str]:
        """The lines to show if the command failed."""
        early = [clue[:SUMMARY] for clue in self.clues if clue not in self.tail]
        return [*early, *(line[:SUMMARY] for line in self.tail)]

    def show_until(self, finished: Callable[[], bool]) -> None:
        """Report now and then until ``finished()``."""
        pause = TERMINAL_SECONDS if self.on_terminal else PLAIN_SECONDS
        due = self.started + pause
        while not finished():
            time.sleep(0.1)
            if time.monotonic() >= due:
                self.show(self.phrase)
                due += pause

    def close(self, status: int) -> None:
        """Leave a last line behind."""
        self.show('done' if status == 0 else f'stopped with status {status}')
        if self.on_terminal:
            print(flush=True)

    def show(self, phrase: str) -> None:
        """Print the line, over the last one where that is possible."""
        elapsed = clock(time.monotonic() - self.started)
        line = f'  {self.label} [{elapsed}] {phrase}'
        if self.on_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f'\r\033[K{line[:width]}', end='', flush=True)
        else:
            print(line[:160], flush=True)


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return '{}:{:02d}'.format(*divmod(round(seconds), 60))
