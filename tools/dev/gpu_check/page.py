"""Words what the parts found, and puts it into a page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.dev.gpu_check.parts import Part

PAGE = 'docs/en/benchmark.md'
BEGIN, END = '<!-- gpu: begin -->', '<!-- gpu: end -->'


def read(folder: Path, name: str) -> dict[str, Any]:
    """What a part wrote; {} if it wrote nothing that can be read."""
    try:
        return json.loads((folder / f'{name}.json').read_text())
    except (OSError, ValueError):
        return {}


def text_of(folder: Path, parts: Mapping[str, Part]) -> str:
    """A table of the parts, and below it what the trials and the gates found."""
    records = {name: read(folder, name) for name in parts}
    rows = [
        f'| {parts[name].title} | {record.get("status", "not run")} '
        f'| {record.get("why", "")} | {record.get("seconds", "")} |'
        for name, record in records.items()
    ]
    head = ['| part | result | why | seconds |', '|---|---|---|---|']
    details = [
        line for name, record in records.items() for line in found_in(name, record)
    ]
    return '\n'.join([*where(records), *head, *rows, '', *details]).rstrip()


def where(records: Mapping[str, dict[str, Any]]) -> list[str]:
    """The device and the versions, as a part of the benchmark describes them."""
    for record in records.values():
        about = (record.get('results') or {}).get('environment')
        if about:
            names = ('device', 'torch', 'cpu')
            told = [f'{name}: {about[name]}' for name in names if about.get(name)]
            return ['; '.join(told), '']
    return []


def found_in(name: str, record: Mapping[str, Any]) -> list[str]:
    """One line for each gate of the benchmark, or for each thing a trial saw."""
    results = record.get('results') or {}
    gates = [g for s in results.get('sections') or [] for g in s.get('gates') or []]
    if gates:
        return [
            f'- {name}: {gate["name"]}: {gate["value"]}, limit {gate["limit"]} '
            f'({gate["verdict"]})'
            for gate in gates
        ]
    if 'sections' in results:
        return []
    return [f'- {name}: {key}: {value}' for key, value in results.items()]


def put(page: Path, text: str) -> None:
    """Replace what stands between the markers.

    Raises:
        ValueError: The page has not each marker once.
    """
    before = page.read_text()
    if before.count(BEGIN) != 1 or before.count(END) != 1:
        raise ValueError(f'{page} has not one line {BEGIN} and one line {END}.')
    head, _, rest = before.partition(BEGIN)
    page.write_text(f'{head}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}')
