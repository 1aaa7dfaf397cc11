"""Checks and measures the fields of a document that changes again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aletheia_like.model.checking import check_entries, check_fields, small_cost
from aletheia_like.model.sizes import name_size, value_size
from aletheia_like.model.values import Fields, Value


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is known of a field: its bytes and index entries, and those of the fields in it."""

    value: Value
    size: int
    entries: int
    inside: Mapping[str, _Measured] = field(default_factory=dict)


class FieldsMeter:
    """Measures fields; what is in a large map is not looked at again while it is the same object.

    A run with hundreds of artifacts changes one of them at a time: looking at all of them each
    time would take a time that grows with the square of their number.
    """

    def __init__(self) -> None:
        self._known: Mapping[str, _Measured] = {}

    def measure(self, path: str, fields: Fields) -> int:
        """Return the size of a document; a refusal changes nothing.

        Args:
            path: Of the document.
            fields: All of them; changed ones are new objects, also the maps around them.

        Raises:
            InvalidValueError: No store could hold them.
        """
        known = {name: self._field(name, value) for name, value in fields.items()}
        check_entries(sum(one.entries for one in known.values()))
        self._known = known
        return name_size(path) + (sum(one.size for one in known.values()) or 1)

    def _field(self, name: str, value: Value) -> _Measured:
        known = self._known.get(name)
        if known is not None and known.value is value:
            return known
        cost = small_cost({name: value})
        if cost is not None:
            return _Measured(value, *cost)
        if type(value) is not dict or not value:
            size = value_size(name) + value_size(value)
            return _Measured(value, size, check_fields({name: value}))
        earlier = {} if known is None else known.inside
        inside = {}
        for key, inner in value.items():
            before = earlier.get(key)
            if before is None or before.value is not inner:
                entries = check_fields({name: {key: inner}}) - 1
                before = _Measured(inner, value_size(key) + value_size(inner), entries)
            inside[key] = before
        size = value_size(name) + sum(one.size for one in inside.values())
        return _Measured(value, size, 1 + sum(one.entries for one in inside.values()), inside)
