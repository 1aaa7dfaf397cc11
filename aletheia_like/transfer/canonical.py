"""Documents as JSON texts that are equal whenever the documents are."""

from __future__ import annotations

from typing import Any

from aletheia_like.model import jsontext


def text_of(value: Any) -> str:
    """Return a stored value as JSON, the keys of every map sorted."""
    return jsontext.to_text({"v": sorted_keys(value)})[len('{"v":') : -1]


def sorted_keys(value: Any) -> Any:
    """Return a stored value with the keys of every map sorted."""
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [sorted_keys(item) for item in value]
    return value
