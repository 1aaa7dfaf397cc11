"""Handlers of JSON, YAML, text and bytes."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.handler import Handler, Options, is_a, needed
from aletheia_like.model.names import with_article

_SCALARS = (str, bool, int, float)
_NO_NUMBERS = ("datetime64", "timedelta64", "void")
_BREAKS = frozenset("\x85\u2028\u2029\ufeff")


class Json(Handler):
    """JSON as Python's own module writes it; tuples come back as lists, NaN as NaN."""

    name = "json"
    media_type = "application/json"
    suffix = ".json"

    def accepts(self, value: Any) -> bool:
        plain = isinstance(value, dict | list | tuple | bool | int | float)
        return plain or value is None or is_a(value, "numpy", "number", "bool", "bool_")

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        _check(value, _has_json_key, "JSON has only texts for keys: yaml keeps numbers")
        with path.open("w", encoding="utf-8", newline="") as stream:
            json.dump(value, stream, **{"default": _scalar, **options})

    def load(self, path: Path) -> Any:
        with path.open(encoding="utf-8") as stream:
            return json.load(stream)


class Yaml(Handler):
    """YAML of plain values, in their order; tuples come back as lists."""

    name = "yaml"
    media_type = "application/yaml"
    suffix = ".yaml"

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        yaml = needed("yaml")
        _check(value, _has_yaml_key, "here YAML's keys are texts, numbers, dates and None")
        kept = {"allow_unicode": True, "sort_keys": False, **options}
        with path.open("w", encoding="utf-8", newline="") as stream:
            yaml.dump(value, stream, Dumper=_dumper(yaml), **kept)

    def load(self, path: Path) -> Any:
        yaml = needed("yaml")
        with path.open("rb") as stream:
            return yaml.safe_load(stream)

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("pyyaml",)


class Text(Handler):
    """Text in UTF-8, or in the `encoding` that is given; ends of lines stay as they are."""

    name = "text"
    media_type = "text/plain"
    suffix = ".txt"

    def dump(self, value: Any, path: Path, encoding: str = "utf-8") -> Options:
        if not isinstance(value, str):
            message = f"{with_article(type(value).__name__)} is no text"
            raise InvalidValueError(message)
        with path.open("w", encoding=encoding, newline="") as stream:
            stream.write(value)
        return {} if encoding == "utf-8" else {"encoding": encoding}

    def load(self, path: Path, encoding: str = "utf-8") -> str:
        with path.open(encoding=encoding, newline="") as stream:
            return stream.read()


class Bytes(Handler):
    """Bytes as they are."""

    name = "bytes"
    media_type = "application/octet-stream"
    suffix = ".bin"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bytes | bytearray | memoryview)

    def dump(self, value: Any, path: Path) -> None:
        if not self.accepts(value):
            message = f"{with_article(type(value).__name__)} is no bytes"
            raise InvalidValueError(message)
        path.write_bytes(value)

    def load(self, path: Path) -> bytes:
        return path.read_bytes()


def _has_json_key(key: Any) -> bool:
    return isinstance(key, str)


def _has_yaml_key(key: Any) -> bool:
    if isinstance(key, float) and math.isnan(key):
        return False  # It is like no key, not even itself.
    return key is None or isinstance(key, (*_SCALARS, dt.date))


def _dumper(yaml: Any) -> Any:
    """Return PyYAML's safe dumper, mended: it loses some breaks of lines."""

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        pass

    def text(dumper: Any, value: str) -> Any:
        style = '"' if _BREAKS.intersection(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def moment(dumper: Any, value: dt.datetime) -> Any:
        offset = value.utcoffset()
        if offset is not None and offset.total_seconds() % 60:
            message = f"the zone of {value.isoformat()} differs from UTC by seconds: YAML has none"
            raise InvalidValueError(message)
        return dumper.represent_datetime(value)

    def other(dumper: Any, value: Any) -> Any:
        return dumper.represent_data(_scalar(value))

    Dumper.add_representer(str, text)
    Dumper.add_representer(dt.datetime, moment)
    Dumper.add_representer(None, other)
    return Dumper


def _check(value: Any, accepts: Callable[[Any], bool], advice: str) -> None:
    """Refuse keys that would come back as others."""
    try:
        key = _refused_key(value, accepts)
    except RecursionError as error:
        message = "it is nested too deeply, or contains itself"
        raise InvalidValueError(message) from error
    if key:
        message = f"it has the key {key[0]!r:.80}: {advice}"
        raise InvalidValueError(message)


def _refused_key(value: Any, accepts: Callable[[Any], bool]) -> tuple[Any, ...]:
    """Return the first key that is not accepted, or nothing."""
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.values()
        for key in value:
            if not accepts(key):
                return (key,)
    elif isinstance(value, list | tuple):
        inside = value
    for one in inside:
        if not isinstance(one, _SCALARS) and (found := _refused_key(one, accepts)):
            return found
    return ()


def _scalar(value: Any) -> Any:
    """Return a number of numpy, torch or jax as Python's."""
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        plain = value.item()
        # The item of a date of numpy may be a number, too: of its nanoseconds.
        if isinstance(plain, bool | int | float) and not is_a(value, "numpy", *_NO_NUMBERS):
            return plain
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    message = f"{kind} is no plain value: convert it, or use another handler"
    raise InvalidValueError(message)
