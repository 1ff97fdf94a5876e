"""The arguments that the commands share, named as in mmdet and mmseg.

A command parses before it imports what does the work: ``--help`` and a mistyped option
are answered at once.
"""

from __future__ import annotations

import argparse
import glob
import os
import signal
import warnings
from collections.abc import Sequence
from typing import Any

from dropblock_mm.programs import as_typed

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


CONFIG_HELP = "a path, or 'mmdet::...', 'mmseg::...', 'mmpretrain::...'"


def command_parser(doc: str | None, **settings: Any) -> argparse.ArgumentParser:
    """Return a parser whose help is a command's docstring, with its examples.

    Args:
        doc: Of the command's module.
        **settings: Further arguments of the parser.
    """
    return argparse.ArgumentParser(
        description=as_typed(doc or '').replace('::\n\n', ':\n\n'),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **settings,
    )


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add the config, whose name a shell can complete."""
    action: Any = parser.add_argument('config', help=CONFIG_HELP)
    action.completer = config_names


def add_fragment_argument(parser: Any, text: str) -> None:
    """Add ``--dropblock``, whose names a shell can complete.

    Args:
        parser: A parser or a group of one.
        text: What it does.
    """
    action = parser.add_argument('--dropblock', metavar='NAME-OR-FILE', help=text)
    action.completer = lambda **given: fragments_and_files(given.get('prefix', ''))


def config_names(prefix: str = '', **given: Any) -> list[str]:
    """Return the configs that a word may become: files, or 'package::path'."""
    from dropblock_mm.config_files import LIBRARIES, config_names_of

    package, separator, _ = prefix.partition('::')
    known = ('dropblock_mm', *LIBRARIES)
    if separator:
        names = config_names_of(package) if package in known else []
        return [f'{package}::{name}' for name in names]
    return [*_paths(prefix), *(f'{name}::' for name in known)]


def fragments_and_files(prefix: str = '') -> list[str]:
    """Return the fragments, and the files that a word may become."""
    from dropblock_mm.config_files import fragment_names

    return [*fragment_names(), *_paths(prefix)]


def _paths(prefix: str) -> list[str]:
    folders, files = glob.glob(f'{prefix}*/'), glob.glob(f'{prefix}*.py')
    return sorted([*folders, *files])


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, if argcomplete is installed.

    The program ends then; otherwise this does nothing.
    """
    if '_ARGCOMPLETE' not in os.environ:
        return
    try:
        import argcomplete
    except ModuleNotFoundError:  # who asks has it; another Python may not
        return
    argcomplete.autocomplete(parser)


def complete_word(words: Sequence[str]) -> None:
    """Answer a shell that asks for one of some words, as :func:`complete` does."""
    parser = argparse.ArgumentParser()
    parser.add_argument('word', choices=list(words))
    complete(parser)


def parse_known(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse, after a shell that asks for completions was answered.

    MMEngine imports a deprecated module, which warns with every command, and again with
    every config that inherits from a library's. It is not shown: whoever types a
    command can do nothing about it.
    """
    complete(parser)
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated', UserWarning)
    return parser.parse_args(argv)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of both commands, named as in mmdet and mmseg."""
    config = parser.add_argument_group('the run')
    config.add_argument('--work-dir', help='folder of logs, checkpoints and results')
    config.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config. Lists: key="[a,b]" or key=a,b; into '
        'lists: key.0.name=a. No white space',
    )
    processes = parser.add_argument_group('processes')
    processes.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes --local-rank, older versions --local_rank.
    processes.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help='set by launchers'
    )


def add_input_size_argument(parser: Any) -> None:
    """Add the size at which a config's model is looked at, to a parser or a group."""
    parser.add_argument(
        '--input-size',
        nargs=2,
        type=positive,
        metavar=('H', 'W'),
        help='of the images in pixels; as the config trains, else 800 1344',
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names trained models, one or several."""
    models = parser.add_argument_group('the models')
    models.add_argument(
        '--model',
        nargs='+',
        action='append',
        required=True,
        metavar='WORD',
        help='a run: WORK_DIR [NAME], or CONFIG CHECKPOINT [NAME]; once for each model',
    )
    models.add_argument(
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


def add_launcher_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says how processes are started."""
    group = parser.add_argument_group('launcher')
    group.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm'],
        default='none',
        help='one process, torchrun on this machine, or srun (none)',
    )
    group.add_argument('--gpus', type=positive, metavar='N', help='processes (1)')
    group.add_argument('--partition', default='', help="slurm's")


def check_launcher(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse a launcher whose arguments do not go together."""
    if args.launcher == 'none' and args.gpus:
        parser.error('--gpus needs --launcher pytorch or --launcher slurm')
    if (args.launcher == 'slurm') != bool(args.partition):
        parser.error('--launcher slurm and --partition NAME need each other')
    if args.launcher != 'none' and not args.gpus:
        parser.error(f'--launcher {args.launcher} needs --gpus N')


def launch_seed(text: str) -> int:
    """Read a seed, as NumPy allows them."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number below 2**32')
    return int(text)


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse, and export the local rank where the launcher did not."""
    args = parse_known(parser, argv)
    variable = _LOCAL_RANKS.get(args.launcher, '')
    local_rank = os.environ.get(variable, str(args.local_rank))
    os.environ.setdefault('LOCAL_RANK', local_rank)
    return args


def end_politely() -> None:
    """Let `kill`, and a terminal that closes, end the training as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        # nohup asks to ignore the terminal's end. A job in the background of a script
        # ignores Ctrl-C, and so would its children, when they are to be stopped.
        nohup = number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
        if not nohup:
            signal.signal(number, signal.default_int_handler)
