"""Measure DropBlock: speed, memory and correctness, beside what others offer.

Prints tables in Markdown, with a PASS or FAIL for each promise, and saves them with
the environment as JSON, and a figure. Peers that are not installed are skipped with a
line. docs/en/benchmark.md says how it measures.

Examples::

    python -m tools.dev.benchmark            # all, on the CPU
    python -m tools.dev.benchmark --only op memory
    python -m tools.dev.benchmark --device cuda --check
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.dev.benchmark.arguments import parse_args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, save."""
    args = parse_args(__doc__, argv)
    # Not earlier: torch and what is measured take seconds to import.
    from tools.dev.benchmark.running import run

    run(args)


if __name__ == '__main__':
    main()
