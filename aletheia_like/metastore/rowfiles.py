"""What rows become in a file of comma-separated values, and where such a file may lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError, NotFoundError
from aletheia_like.metastore.assets import File


def check_target(path: str | Path) -> Path:
    """Return where a file is to be written.

    Raises:
        NotFoundError: Its folder does not exist.
        InvalidValueError: It is a folder itself.
    """
    target = Path(path).expanduser()
    if not target.parent.is_dir():
        message = f"{target.parent} is no folder: create it, or choose another path"
        raise NotFoundError(message)
    if target.is_dir():
        message = f"{target} is a folder: name a file in it"
        raise InvalidValueError(message)
    return target


def csv_cell(value: Any) -> Any:
    """Return a value as a file of comma-separated values holds it."""
    if isinstance(value, dict | list):
        return json.dumps(value, default=_file_text, ensure_ascii=False)
    return _file_text(value) if isinstance(value, File) else value


def _file_text(value: Any) -> str:
    return (value.digest or value.name) if isinstance(value, File) else str(value)


def is_uniform(cells: Sequence[Any]) -> bool:
    """Whether all lists of a column hold one kind of plain values."""
    kinds = {type(one) for cell in cells if isinstance(cell, list) for one in cell}
    return len(kinds) <= 1 and kinds <= {bool, int, float, str}
