"""Activation maps of several models over the same images, and their spread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dropblock_mm.analysis.activation_maps.explain import explain, usual_layer
from dropblock_mm.analysis.activation_maps.explanation import Explanation
from dropblock_mm.analysis.trained.images import (
    example_of_test,
    own_example,
    pixels_of,
    user_pipeline,
)
from dropblock_mm.analysis.trained.models import TrainedModel, build_test_loader
from dropblock_mm.analysis.trained.same_data import (
    check_same_image,
    check_same_length,
    check_same_task,
)
from dropblock_mm.analysis.trained.truth import Truth

INSTEAD = ', or give images: --images FILE...'


@dataclass(frozen=True)
class ImageMaps:
    """The maps of an image, one for each model.

    Args:
        path: Of the image.
        maps: In the models' order; None where a model found nothing to explain.
        index: Of the image, among those that are looked at.
        seen: What each model was given, as :func:`.pixels_of` has it; a map covers
            that. None where it covers the whole image, and empty before it is asked
            for: pixels of many images are not to be kept.
    """

    path: str
    maps: list[Explanation | None]
    index: int = 0
    seen: Sequence[np.ndarray | None] = ()

    @property
    def comparable(self) -> bool:
        """Whether every model found the target, or the truth is not known."""
        found = [m for m in self.maps if m is not None and m.activation.any()]
        right = all(m is not None and m.right is not False for m in self.maps)
        return right and len(found) == len(self.maps)


class SameImages:
    """The images that all models are shown.

    Args:
        models: At least one.
        paths: The user's images; of the test data if there are none.
        limit: How many of the test data at most, evenly spaced.

    Raises:
        RefusedError: The models' tasks or test data differ, or an image cannot be read.
    """

    def __init__(
        self,
        models: Sequence[TrainedModel],
        paths: Sequence[Path] = (),
        limit: int | None = None,
    ) -> None:
        check_same_task(models)
        self.models, self.paths = models, list(paths)
        self.names = [model.name for model in models]
        self.pipelines = [user_pipeline(m) for m in models] if paths else []
        self.datasets = [] if paths else [build_test_loader(m).dataset for m in models]
        check_same_length(self.names, self.datasets, INSTEAD)
        self.total = len(self.datasets[0]) if self.datasets else len(self.paths)
        number = min(limit or self.total, self.total)
        self.indices = [i * self.total // number for i in range(number)]

    def __len__(self) -> int:
        return len(self.indices)

    def usual_layers(self) -> list[str]:
        """Return the layer of each model that is usually looked at."""
        return [
            usual_layer(model, self._example(place, self.indices[0]))
            for place, model in enumerate(self.models)
        ]

    def explain(
        self,
        target: Truth | None,
        layer: str | None,
        method: str | None = None,
        indices: Sequence[int] | None = None,
    ) -> Iterator[ImageMaps]:
        """Yield the maps of one image after the other.

        What is explained is the target, or the truth, or else the surest prediction of
        the first model. Of ``indices``, or else of all.
        """
        for index in self.indices if indices is None else indices:
            examples = [self._example(i, index) for i in range(len(self.models))]
            check_same_image(self.names, [e.path for e in examples], INSTEAD)
            first, *others = zip(self.models, examples, strict=True)
            base = explain(*first, target, layer, method)
            wanted = target or (base.target if base else None)
            maps = [base]
            for other in others:
                maps.append(explain(*other, wanted, layer, method) if wanted else None)
            yield ImageMaps(examples[0].path, maps, index)

    def with_pixels(self, image: ImageMaps) -> ImageMaps:
        """Return an image's maps with what each model was given."""
        seen = [
            pixels_of(self._example(place, image.index), model.library)
            for place, model in enumerate(self.models)
        ]
        return replace(image, seen=seen)

    def _example(self, model: int, index: int) -> Any:
        if self.paths:
            return own_example(self.pipelines[model], self.paths[index])
        library = self.models[model].library
        return example_of_test(self.datasets[model], index, library)
