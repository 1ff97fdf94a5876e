"""The page as dataclasses, and how it becomes one file of HTML."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable
from dropblock_mm.errors import MissingPackageError
from dropblock_mm.version import __version__

TEMPLATE = Path(__file__).with_name('template.html.j2')
TALL = 1.3  # times its width: at the usual height on paper its images would be tiny
MIME = {'.png': 'png', '.svg': 'svg+xml', '.gif': 'gif', '.webp': 'webp'}


@dataclass(frozen=True)
class InlinePicture:
    """A picture inside the page.

    Args:
        title: Its heading.
        data: The file's bytes.
        mime: What follows ``image/``.
        alt: The picture in words.
        tables: Its numbers.
        notes: Sentences.
        command: What made it.
        across: Wider than high, so that a phone shows a part of it at a time.
        tall: A column of images, which has a page of its own on paper.
    """

    title: str
    data: bytes
    mime: str
    alt: str
    tables: list[NumberTable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    command: str = ''
    across: bool = False
    tall: bool = False

    @property
    def uri(self) -> str:
        """The picture as an address that needs no network."""
        return f'data:image/{self.mime};base64,{base64.b64encode(self.data).decode()}'


def inline(record: FigureRecord, folder: Path) -> InlinePicture:
    """Take in a recorded picture.

    Raises:
        OSError: The picture is not there, or is none.
    """
    # A record may come from anywhere: its picture lies beside it, and nowhere else.
    path = folder / Path(record.picture).name
    mime = MIME.get(path.suffix.lower(), 'png')
    width, height = _size(path)
    return InlinePicture(
        record.title,
        path.read_bytes(),
        mime,
        record.alt,
        record.tables,
        record.notes,
        record.command,
        across=width > height,
        tall=height > TALL * width,
    )


def is_across(path: Path) -> bool:
    """Whether a picture is wider than high, as far as its kind tells."""
    width, height = _size(path)
    return width > height


def _size(path: Path) -> tuple[int, int]:
    if path.suffix.lower() == '.svg':
        return 1, 1
    with Image.open(path) as image:
        return image.size


@dataclass
class Section:
    """A part of the page: a run, a series, a checkpoint, or pictures.

    Args:
        title: Its heading.
        kind: What it is, in a word.
        facts: What was run, on what, with what.
        sentences: What came of it.
        missing: What could not be read, or is not there yet.
        tables: Numbers without a picture.
        pictures: With their numbers.
        commands: What was typed, or what to type.
        environment: Software and machine.
    """

    title: str
    kind: str
    facts: dict[str, str] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    tables: list[NumberTable] = field(default_factory=list)
    pictures: list[InlinePicture] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    anchor: str = ''


@dataclass
class Page:
    """All of it.

    Args:
        title: Of the page.
        made: When, and by which command.
        summary: The runs, a line each; the best first.
        sections: What follows.
    """

    title: str
    made: dict[str, str]
    summary: list[NumberTable] = field(default_factory=list)
    pictures: list[InlinePicture] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


def render(page: Page) -> str:
    """Return the page as HTML that asks for nothing from anywhere.

    Every text is escaped: names of configs and classes are the user's.

    Raises:
        MissingPackageError: Jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            'report needs the package Jinja2, which is not installed. Install it with '
            "pip install jinja2, or 'dropblock_mm[demo]'.",
            name=error.name,
        ) from error
    for number, section in enumerate(page.sections, 1):
        name = re.sub(r'[^a-z0-9]+', '-', section.title.lower()).strip('-')
        section.anchor = f's{number}-{name}'
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(TEMPLATE.read_text(encoding='utf-8'))
    return template.render(page=page, version=__version__)
