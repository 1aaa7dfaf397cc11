"""Reads a view from YAML; what is wrong is told with its line and with what is expected.

index: [project, run_id]     one column, or several; each distinct combination has a page
panels:                      one or more
  - name: Loss               its title
    columns: [loss, acc]     one column, several, or '*' for all, which is the default
    index: step              one column, several, or none
    type: lineplot           data (the default), or lineplot, which needs an index
    slider: step             a column whose values a slider chooses from
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from aletheia_like.errors import AletheiaError, SettingsError
from aletheia_like.extras import import_extra
from aletheia_like.ui.views.view import EVERY, Panel, PanelType, View

_KEYS = ("index", "panels")
_PANEL_KEYS = ("name", "columns", "index", "type", "slider")
_TYPES: tuple[PanelType, ...] = get_args(PanelType)
_NEEDED = frozenset({"index", "panels", "name"})
_NULL = "tag:yaml.org,2002:null"
_STAR = "a star is written in quotes: '*'"


def read_view(path: str | Path) -> View:
    """Return the view of a file.

    Raises:
        AletheiaError: There is no such file, or it cannot be read.
        SettingsError: It is no view; the message says which line, and what is expected.
        MissingExtraError: What reads YAML is not installed.
    """
    target = Path(path).expanduser()
    try:
        text = target.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        message = f"view file {target} cannot be read: {reason}; without --view a default is shown"
        raise AletheiaError(message) from error
    return parse_view(text, str(target))


def parse_view(text: str, source: str = "view") -> View:
    """Return the view that a text describes.

    Args:
        text: YAML.
        source: What the text is called in messages.

    Raises:
        SettingsError: It is no view; the message says which line, and what is expected.
        MissingExtraError: What reads YAML is not installed.
    """
    return _Parser(import_extra("yaml", "ui"), source).view(text)


class _Parser:
    """Reads nodes of YAML, which know their lines.

    Args:
        yaml: The library.
        source: What the text is called.
    """

    def __init__(self, yaml: Any, source: str) -> None:
        self._yaml = yaml
        self._source = source

    def view(self, text: str) -> View:
        """Return the view of a text."""
        root = self._composed(text)
        if root is None:
            message = f"{self._source} is empty: a view has an index and panels"
            raise SettingsError(message)
        entries = self._mapping(root, _KEYS, "a view")
        for key in _KEYS:
            if key not in entries:
                self._refuse(root, f"a view needs the key {key!r}")
        index = self._names(entries["index"], "index")
        node = entries["panels"]
        if not isinstance(node, self._yaml.SequenceNode) or not node.value:
            self._refuse(node, "panels is a list of one panel or more, each line with a '-'")
        return View(index, tuple(self._panel(one) for one in node.value), self._source)

    def _panel(self, node: Any) -> Panel:
        entries = self._mapping(node, _PANEL_KEYS, "a panel")
        if "name" not in entries:
            self._refuse(node, "a panel needs a name, which is its title")
        name = self._text(entries["name"], "name")
        index = self._names(entries["index"], "index") if "index" in entries else ()
        slider = self._text(entries["slider"], "slider") if "slider" in entries else None
        kind = self._type(entries["type"]) if "type" in entries else "data"
        if kind == "lineplot" and not index:
            self._refuse(node, f"the lineplot {name!r} needs an index, which is what is across")
        columns = self._columns(entries["columns"]) if "columns" in entries else None
        return Panel(name, columns, index, kind, slider)

    def _type(self, node: Any) -> PanelType:
        told = self._text(node, "type")
        kind = next((one for one in _TYPES if one == told), None)
        if kind is None:
            self._refuse(node, f"a type is one of {', '.join(_TYPES)}, not {told!r}")
        return kind

    def _columns(self, node: Any) -> tuple[str, ...] | None:
        names = self._names(node, "columns")
        return None if EVERY in names else names

    def _names(self, node: Any, key: str) -> tuple[str, ...]:
        if isinstance(node, self._yaml.SequenceNode):
            if not node.value:
                self._refuse(node, f"{key} names one column or more")
            names = [self._text(one, key) for one in node.value]
            for place, name in enumerate(names):
                if name in names[:place]:
                    self._refuse(node.value[place], f"{key} names {name!r} twice")
            return tuple(names)
        return (self._text(node, key),)

    def _text(self, node: Any, key: str) -> str:
        if not isinstance(node, self._yaml.ScalarNode):
            self._refuse(node, f"{key} is made of names of columns" if key != "name" else "a name")
        if node.tag == _NULL or not node.value.strip():
            self._refuse(node, f"{key} is empty: give a name, or leave the line out")
        return str(node.value)

    def _mapping(self, node: Any, known: Sequence[str], what: str) -> dict[str, Any]:
        """Return a node's values by their keys; keys without a value are left out."""
        if not isinstance(node, self._yaml.MappingNode):
            self._refuse(node, f"{what} has lines such as '{known[0]}: …'")
        entries: dict[str, Any] = {}
        for key, value in self._pairs(node):
            if key.value not in known:
                near = difflib.get_close_matches(str(key.value), known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                told = f"{what} has no key {key.value!r}, only {', '.join(known)}{hint}"
                self._refuse(key, told)
            if key.value in entries:
                self._refuse(key, f"{key.value!r} is there twice")
            entries[key.value] = value
        return {
            key: value for key, value in entries.items() if value.tag != _NULL or key in _NEEDED
        }

    def _pairs(self, node: Any) -> Iterator[tuple[Any, Any]]:
        for key, value in node.value:
            if not isinstance(key, self._yaml.ScalarNode):
                self._refuse(key, "a key is a word")
            yield key, value

    def _composed(self, text: str) -> Any:
        try:
            return self._yaml.compose(text, Loader=self._yaml.SafeLoader)
        except self._yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f", line {mark.line + 1}" if mark else ""
            problem = error.problem or "no YAML"
            hint = f"; {_STAR}" if self._is_star(text, mark) else ""
            message = f"{self._source}{line}: this is no YAML: {problem}{hint}"
            raise SettingsError(message) from error
        except self._yaml.YAMLError as error:
            message = f"{self._source} is no YAML: {' '.join(str(error).split())}"
            raise SettingsError(message) from error

    @staticmethod
    def _is_star(text: str, mark: Any) -> bool:
        """Whether the trouble is in a line with a star, which YAML takes for an alias."""
        lines = text.splitlines()
        return mark is not None and mark.line < len(lines) and "*" in lines[mark.line]

    def _refuse(self, node: Any, expected: str) -> NoReturn:
        message = f"{self._source}, line {node.start_mark.line + 1}: {expected}"
        raise SettingsError(message)
