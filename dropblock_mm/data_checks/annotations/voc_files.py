"""Reads VOC's xml files as mmdet's ``XMLDataset`` does."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree


def whole_number(text: str) -> int | None:
    """Return the number that a text is, if it is one."""
    try:
        return int(text)
    except ValueError:
        return None


def has_object(path: str) -> bool:
    """Tell whether an XML file has an object; a broken one is a problem of its own."""
    try:
        return ElementTree.parse(path).getroot().find('object') is not None
    except (ElementTree.ParseError, LookupError, ValueError):
        return True


def image_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Return the (width, height) that an XML file states, if it does."""
    try:
        width, height = (int(root.findtext(f'size/{key}', '')) for key in _SIZE)
    except ValueError:
        return None
    return width, height


_SIZE = ('width', 'height')


_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def box_corners(node: ElementTree.Element) -> list[int] | None:
    """Return the corners as ``XMLDataset`` reads them, counted from 0."""
    try:
        return [int(float(node.findtext(f'bndbox/{k}', ''))) - 1 for k in _CORNERS]
    except (ValueError, OverflowError):
        return None
