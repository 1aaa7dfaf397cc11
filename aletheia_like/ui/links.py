"""Addresses of pages: any name may be a segment, also one with slashes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

_DOTS = {".": "%2E", "..": "%2E%2E"}
"""Browsers swallow these segments, however often they are escaped once."""

_DOTTED = {escaped: dots for dots, escaped in _DOTS.items()}


def link(*names: object, **query: Any) -> str:
    """Return the path of a page, and its query; None and empty values are left out.

    Examples:
        >>> link("projects", "a/b", "run 1", page=2, where=None)
        '/projects/a%2Fb/run%201?page=2'
    """
    path = "/" + "/".join(segment(str(name)) for name in names)
    return with_query(path, query)


def with_query(path: str, query: Mapping[str, Any]) -> str:
    """Return a path with those parameters that have a value; lists are repeated."""
    told = {name: value for name, value in query.items() if value not in (None, "", [], ())}
    return f"{path}?{urlencode(told, doseq=True, quote_via=quote)}" if told else path


def segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(_DOTS.get(name, name), safe="")


def name_of(part: str) -> str:
    """Return the name of a segment of a path that `separated` returned."""
    name = unquote(part)
    return _DOTTED.get(name, name)


def separated(raw_path: str) -> str:
    """Return a path that is unescaped, except that a slash inside a segment stays escaped.

    Examples:
        >>> separated("/projects/a%2Fb/run%201")
        '/projects/a%2Fb/run 1'
    """
    return "/".join(
        unquote(part).replace("%", "%25").replace("/", "%2F") for part in raw_path.split("/")
    )
