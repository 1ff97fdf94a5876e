"""What a comparison and a sweep leave in their work dirs, renewed after each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropblock_mm.hooks.grid import Point
    from dropblock_mm.reproduction.report import Result


class CompareReport:
    """Writes a comparison as text, Markdown, JSON and a figure.

    Args:
        work_dir: Folder of the files.
        config: What was trained, for the heading.
        metric: What was asked for.
        picture: Format of the figure.
    """

    def __init__(
        self, work_dir: Path, config: str, metric: str | None, picture: str
    ) -> None:
        self.work_dir, self.config, self.metric = work_dir, config, metric
        self.picture = picture

    @property
    def files(self) -> str:
        """See :class:`.Report`."""
        place = self.work_dir / 'compare'
        if place.with_suffix(f'.{self.picture}').exists():
            return f'{place}.md, .txt, .json and .{self.picture}'
        return f'{place}.md, .txt and .json'  # no number to draw yet

    def write(self, results: Sequence[Result], facts: dict[str, Any]) -> None:
        """See :class:`.Report`."""
        from dropblock_mm.analysis.comparison import text
        from dropblock_mm.analysis.comparison.arms import compare
        from dropblock_mm.analysis.figures.comparison import draw_comparison
        from dropblock_mm.analysis.figures.style import house_style, save_whole
        from dropblock_mm.runs.checkpoints.whole_files import write_json, write_whole

        found = compare(results, self.metric)
        told = text.as_markdown(found, results, facts, f'{self.config}, compared')
        place = self.work_dir / 'compare'
        write_whole(told.encode(), place.with_suffix('.md'))
        told = text.as_text(found, results) + '\n'
        write_whole(told.encode(), place.with_suffix('.txt'))
        write_json(place.with_suffix('.json'), text.as_json(found, results, facts))
        if found.metric:
            with house_style():
                figure = draw_comparison(found)
                save_whole(figure, place.with_suffix(f'.{self.picture}'), dpi=120)

    def conclusion(self, results: Sequence[Result]) -> str:
        """See :class:`.Report`."""
        from dropblock_mm.analysis.comparison.arms import compare
        from dropblock_mm.analysis.comparison.text import as_text

        return as_text(compare(results, self.metric), results)


class SweepReport:
    """Writes a sweep as text, Markdown, JSON and figures.

    Args:
        work_dir: Folder of the files.
        config: What was trained, for the heading.
        points: The grid.
        metric: What was asked for.
        picture: Format of the figures.
    """

    def __init__(
        self,
        work_dir: Path,
        config: str,
        points: Sequence[Point],
        metric: str | None,
        picture: str,
    ) -> None:
        self.work_dir, self.config, self.points = work_dir, config, points
        self.metric, self.picture = metric, picture

    @property
    def files(self) -> str:
        """See :class:`.Report`."""
        told = f'{self.work_dir / "sweep"}.md and .json'
        drawn = sorted(self.work_dir.glob(f'sweep_*.{self.picture}'))
        return ', '.join([told, *map(str, drawn)])

    def write(self, results: Sequence[Result], facts: dict[str, Any]) -> None:
        """See :class:`.Report`."""
        from dropblock_mm.analysis.comparison import sweeps
        from dropblock_mm.analysis.figures.style import house_style, save_whole
        from dropblock_mm.analysis.figures.sweep import draw_sweep
        from dropblock_mm.runs.checkpoints.whole_files import write_json, write_whole

        found = sweeps.gather(results, self.points, self.metric)
        pictures = []
        with house_style():
            for name, figure in (draw_sweep(found) if found.metric else {}).items():
                pictures.append(f'sweep_{name}.{self.picture}')
                save_whole(figure, self.work_dir / pictures[-1], dpi=120)
        page = sweeps.as_markdown(found, facts, f'{self.config}, swept', pictures)
        write_whole(page.encode(), self.work_dir / 'sweep.md')
        content = sweeps.as_json(found, results, facts)
        write_json(self.work_dir / 'sweep.json', content)

    def conclusion(self, results: Sequence[Result]) -> str:
        """See :class:`.Report`."""
        from dropblock_mm.analysis.comparison.sweeps import as_text, gather

        return as_text(gather(results, self.points, self.metric))
