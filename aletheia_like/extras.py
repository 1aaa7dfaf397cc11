"""Packages that are installed only by those who want what needs them."""

from __future__ import annotations

import importlib
from typing import Any

from aletheia_like.errors import MissingExtraError


def import_extra(module: str, extra: str | None) -> Any:
    """Return an optional module.

    Raises:
        MissingExtraError: It is not installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        what = f"'aletheia-like[{extra}]'" if extra else module
        message = f"this needs {module}: pip install {what}"
        raise MissingExtraError(message) from error
