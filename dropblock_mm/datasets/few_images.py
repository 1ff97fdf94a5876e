"""Some images of a data set, evenly spaced, so that no class is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from torch.utils.data import Dataset

from dropblock_mm.registry import DATASETS


def evenly_spaced(length: int, number: int) -> list[int]:
    """Return the places of some among many, in order.

    Args:
        length: How many there are.
        number: How many are wanted; all are returned where there are fewer.
    """
    number = min(length, number)
    return [place * length // number for place in range(number)]


def places_of(length: int, number: int, others: bool = False) -> list[int]:
    """Return which images :class:`FewImages` takes of so many, in order."""
    chosen = evenly_spaced(length, number)
    return sorted(set(range(length)) - set(chosen)) if others else chosen


@DATASETS.register_module()
class FewImages(Dataset):
    """A part of another data set, which folders and files sort by class.

    Args:
        dataset: The other one, or its config.
        number: How many images, at most.
        others: Take those instead that are left without ``others``, for an evaluation
            on all that was not trained on.
    """

    def __init__(
        self,
        dataset: Mapping[str, Any] | Dataset,
        number: int,
        others: bool = False,
    ) -> None:
        built: Any = dataset
        if isinstance(dataset, Mapping):
            built = MMENGINE_DATASETS.build(dataset)
        self.dataset = built
        self.places = places_of(len(self.dataset), number, others)

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """The other data set's, which evaluators ask for."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the annotations, as MMEngine's wrappers do."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def get_data_info(self, place: int) -> Any:
        """Return what is known of an image."""
        return self.dataset.get_data_info(self.places[place])

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Any:
        return self.dataset[self.places[place]]
