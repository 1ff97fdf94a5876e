"""The arguments that the commands share, named as in mmdet and mmseg.

A command parses before it imports what does the work: ``--help`` and a mistyped option
are answered at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

# torch's launchers set LOCAL_RANK by themselves.
_LOCAL_RANKS = {'slurm': 'SLURM_LOCALID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}


class KeyValues(argparse.Action):
    """MMEngine's reader of KEY=VALUE, which fails on a word without '='."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Refuse such a word, and leave the rest to MMEngine."""
        for word in values:
            if '=' not in word:
                parser.error(f'{option_string}: {word!r} is not KEY=VALUE')
        # Imported here: only who gives options waits for MMEngine.
        from mmengine.config import DictAction

        read = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        read(parser, namespace, values, option_string)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of both commands, named as in mmdet and mmseg."""
    parser.add_argument('--work-dir', help='folder of logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config. Lists: key="[a,b]" or key=a,b; into '
        'lists: key.0.name=a. No white space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes --local-rank, older versions --local_rank.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names trained models, one or several."""
    parser.add_argument(
        '--model',
        nargs='+',
        action='append',
        required=True,
        metavar='WORD',
        help='a run: WORK_DIR [NAME], or CONFIG CHECKPOINT [NAME]; once for each model',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='override settings of every config, as in test',
    )


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse, and export the local rank where the launcher did not."""
    args = parser.parse_args(argv)
    variable = _LOCAL_RANKS.get(args.launcher, '')
    local_rank = os.environ.get(variable, str(args.local_rank))
    os.environ.setdefault('LOCAL_RANK', local_rank)
    return args
