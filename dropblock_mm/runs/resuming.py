"""Resumes an iteration-based run without loading what was trained before.

MMEngine 0.10.7 loads every batch up to the iteration that it resumes at, which takes
as long as the training's loading did. What has to go on is the order of the images,
and that is the sampler's: here it alone is advanced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from mmengine.runner import Runner
from torch.utils.data import BatchSampler

from dropblock_mm.registry import LOOPS
from dropblock_mm.runs.type_names import type_name
from dropblock_mm.runs.worker_seeds import reseeded

# Where a checkpoint keeps the seed of the sampler. MMEngine has no seed for it where
# the ranks' seeds differ: it draws one.
SEED = 'train_sampler_seed'


def advance_sampler_alone(cfg: Config) -> None:
    """Put this module's loop in the place of MMEngine's.

    Args:
        cfg (Config): If its ``train_cfg`` counts iterations, by MMEngine's own loop.
    """
    loop = cfg.get('train_cfg') or {}
    kind = type_name(loop)
    if kind == 'IterBasedTrainLoop' or (not kind and loop.get('by_epoch') is False):
        own = {key: value for key, value in loop.items() if key != 'by_epoch'}
        cfg.train_cfg = {**own, 'type': 'dropblock_mm.IterBasedTrainLoop'}


@LOOPS.register_module()
class IterBasedTrainLoop(MMEngineIterBasedTrainLoop):
    """MMEngine's loop of iterations, whose resuming advances the sampler alone.

    A resumed run sees the images that an uninterrupted one would see, in that order,
    with any sampler whose order follows from its seed, in as many processes as before.
    What is drawn at random to augment an image differs, and also from what the first
    workers drew.

    ``tools/train.py`` puts it in the place of MMEngine's. A data loader that is built
    already (Python only, configs have none) is advanced as MMEngine does it, and
    ``fast_forward_on_resume=True`` of onedl-mmengine still advances nothing.

    Args:
        runner (Runner): The runner.
        dataloader (dict): The config of the data loader.
        **settings: Arguments of MMEngine's loop, which rejects unknown ones.
    """

    dataloader: Any
    dataloader_iterator: Any

    def __init__(self, runner: Runner, dataloader: Any, **settings: Any) -> None:
        super().__init__(runner, dataloader, **settings)
        self._config = dataloader if isinstance(dataloader, Mapping) else None

    def run(self) -> Any:
        """Train, from where the checkpoint was saved."""
        stays = getattr(self, 'fast_forward_on_resume', False)
        if self.iter > 0 and self._config is not None and not stays:
            self._advance(self._config)
        seed = getattr(_sampler(self.dataloader), 'seed', None)
        if isinstance(seed, int):
            self.runner.message_hub.update_info(SEED, seed)
        return super().run()

    def _advance(self, config: Mapping[str, Any]) -> None:
        """Replace the loader, which began anew, by one that begins where it has to."""
        restart = type(self.dataloader_iterator)
        self.dataloader_iterator = None  # ends its workers
        dataset = _Kept(self.dataloader.dataset)
        changes = {'dataset': dataset, 'sampler': self._seeded(config['sampler'])}
        randomness = self.runner.cfg.get('randomness') or {}
        self.dataloader = self.runner.build_dataloader(
            _advanced(config, self.iter) | changes,
            seed=self.runner.seed,
            diff_rank_seed=randomness.get('diff_rank_seed', False),
        )
        begins = self.dataloader.worker_init_fn
        self.dataloader.worker_init_fn = reseeded(begins, self.iter)
        self.dataloader_iterator = _Advanced(restart(self.dataloader), self.iter)

    def _seeded(self, sampler: Mapping[str, Any]) -> dict[str, Any]:
        """Give a sampler's config the seed that the interrupted run had."""
        built = getattr(_sampler(self.dataloader), 'seed', None)
        info = self.runner.message_hub.runtime_info
        if not isinstance(built, int) or 'seed' in sampler:
            return dict(sampler)
        # Of a checkpoint that another loop wrote, the run's seed is known.
        return {'seed': info.get(SEED, self._run_seed(built)), **sampler}

    def _run_seed(self, built: int) -> int:
        apart = (self.runner.cfg.get('randomness') or {}).get('diff_rank_seed')
        return built if apart else int(self.runner.seed)


def _sampler(loader: Any) -> Any:
    """The sampler of a loader, which a batch sampler may hide."""
    return getattr(loader.batch_sampler, 'sampler', None)


def _advanced(config: Mapping[str, Any], batches: int) -> dict[str, Any]:
    """Return a loader's config whose batch sampler leaves out the first batches."""
    # The data set that is there has been cut to this number already.
    found = {k: v for k, v in config.items() if k != 'num_batch_per_epoch'}
    found['batch_sampler'] = {
        'type': AdvancedBatchSampler,
        'skip': batches,
        'inner': config.get('batch_sampler'),
        'drop_last': found.pop('drop_last', False),
    }
    return {'batch_size': 1, **found}


class _Kept:
    """Survives as it is that a config is copied: a data set may be large."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.value


class _Advanced:
    """An iterator of batches that is where the loop is about to bring it.

    MMEngine's loop takes a batch for each iteration that was trained;
    onedl-mmengine's calls ``skip_iter``.
    """

    def __init__(self, batches: Iterator[Any], ahead: int) -> None:
        self._batches = batches
        self._ahead = ahead

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._ahead > 0:
            self._ahead -= 1
            return None
        return next(self._batches)

    def skip_iter(self, count: int) -> None:
        """Do as if batches were left out."""
        self._ahead -= count


class AdvancedBatchSampler:
    """A batch sampler that begins after some batches, maybe of a later pass.

    Args:
        sampler: Of single images.
        batch_size: Images of a batch.
        skip: Batches to leave out.
        inner: The config of the batch sampler that is advanced; torch's if None.
        drop_last: Of torch's: whether an incomplete batch is left out.
    """

    def __init__(
        self,
        sampler: Any,
        batch_size: int,
        skip: int,
        inner: Mapping[str, Any] | None = None,
        drop_last: bool = False,
    ) -> None:
        self.batch_size, self.drop_last = batch_size, drop_last
        self.inner: Any = BatchSampler(sampler, batch_size, drop_last)
        if inner is not None:
            parts = {'sampler': sampler, 'batch_size': batch_size}
            self.inner = DATA_SAMPLERS.build(inner, default_args=parts)
        self.sampler = _CountingOn(getattr(self.inner, 'sampler', sampler))
        self._skip = skip

    def __len__(self) -> int:
        return len(self.inner)

    def __iter__(self) -> Iterator[Any]:
        batches, seen = iter(self.inner), 0
        while self._skip:
            if next(batches, None) is not None:
                self._skip, seen = self._skip - 1, seen + 1
            elif seen:
                self.sampler.begin_next()
                batches, seen = iter(self.inner), 0
            else:
                return  # as MMEngine's loop: it finds nothing to train on
        yield from batches


class _CountingOn:
    """A sampler whose passes are counted from those that were left out.

    MMEngine's iterator numbers the passes of a finite sampler, which draws a new order
    by that number, and begins with 0.
    """

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler
        self._passed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)

    def set_epoch(self, epoch: int) -> None:
        """Tell the sampler which pass this is of the whole training."""
        if hasattr(self._sampler, 'set_epoch'):
            self._sampler.set_epoch(self._passed + epoch)

    def begin_next(self) -> None:
        """Leave a pass behind."""
        self._passed += 1
        self.set_epoch(0)
