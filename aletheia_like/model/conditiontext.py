"""Reads conditions: `metrics.acc > 0.9 and not (tags contains 'base' or seconds < 60)`.

    condition   comparisons, `and`, `or`, `not`, parentheses; `not` binds closest, then `and`
    comparison  NAME SIGN VALUE, VALUE SIGN NAME, NAME SIGN NAME, 0.1 < NAME <= 0.5;
                a NAME alone is NAME = true
    sign        = == != <> < <= > >=, [not] in (VALUE, …), [not] contains, [not] startswith,
                is [not] null
    name        parts with dots between; of letters, digits, `_`, `-` and `/`, or anything within
                backquotes; double quotes do too where no text can stand
    value       'text' or "text", numbers, true, false, null, nan, inf, date '2026-01-31'

Words like `and` may have capitals. A quote inside a text is written twice or after a backslash.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, cast

from aletheia_like.errors import InvalidValueError
from aletheia_like.model.conditions import (
    And,
    Column,
    Comparison,
    Condition,
    Not,
    Operator,
    Or,
    Part,
    moment,
)
from aletheia_like.model.names import with_article

_MAX_DEPTH = 50
_SHOWN_BEFORE, _SHOWN_AFTER = 60, 30
_SHOWN_TOKEN = 20

_QUOTED: Final = r'`(?:[^`]|``)+`|"(?:[^"\\]|\\.|"")+"'
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<number>[+-]?(?:(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)
        (?![\w.]))
    | (?P<name>(?:[^\W\d][\w/-]*|`(?:[^`]|``)+`|"(?:[^"\\]|\\.|"")+"(?=\s*\.))
        (?:\s*\.\s*(?:[\w/-]+|{_QUOTED}))*)
    | (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<sign>==|!=|<>|<=|>=|[=<>()\[\],])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_PART: Final = re.compile(rf"{_QUOTED}|[\w/-]+", re.DOTALL)
_ESCAPE: Final = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|(.))|''|\"\"""", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_SIGNS: Final = {"==": "=", "<>": "!="}
_FLIPPED: Final = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "none": None}
_WORDS: Final = frozenset({"and", "or", "not", "in", "is", "contains", "startswith"})
_HINTS: Final = {
    "&": "`and`",
    "|": "`or`",
    "!": "`not`",
    "~": "`not`",
    "'": "a closing '",
    '"': 'a closing "',
    "`": "a closing `",
}

_TokenKind = Literal["number", "name", "text", "sign", "end"]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: _TokenKind
    text: str
    at: int

    @property
    def word(self) -> str:
        """What it is in small letters, unless it is a value or the name of a column."""
        return self.text.lower() if self.kind in ("name", "sign") else ""


def parse_condition(text: str) -> Condition:
    """Return the condition that a text writes.

    Raises:
        InvalidValueError: It writes none; the message points at the place and says what was
            expected there.
    """
    return _condition(_checked(text, "condition"))


def parse_column(text: str) -> Column:
    """Return the column that a text names, such as `metrics.acc`.

    Quotes are needed only for a part that has dots: `metrics.top 5` is a name here.

    Raises:
        InvalidValueError: It is empty.
    """
    return _column(_checked(text, "name of a column"))


def pointed(text: str, at: int) -> str:
    """Return the line of a text that holds a place, and a caret below the place."""
    begin = text.rfind("\n", 0, at) + 1
    line, at = text[begin:].split("\n", 1)[0], at - begin
    start = max(0, at - _SHOWN_BEFORE)
    left, right = "…" if start else "", "…" if len(line) > at + _SHOWN_AFTER else ""
    shown = line[start : at + _SHOWN_AFTER].replace("\t", " ")
    return f"    {left}{shown}{right}\n    {' ' * (at - start + len(left))}^"


def _checked(text: object, what: str) -> str:
    if not isinstance(text, str):
        message = f"a {what} is a text, not {with_article(type(text).__name__)}: {text!r:.80}"
        raise InvalidValueError(message)
    return text


@functools.lru_cache(maxsize=128)
def _condition(text: str) -> Condition:
    return _Parser(text, "condition").condition()


@functools.lru_cache(maxsize=128)
def _column(text: str) -> Column:
    try:
        return _Parser(text, "name of a column").only_column()
    except InvalidValueError:
        if not text.strip():
            raise
        return Column(_split(text))


class _Parser:
    """Reads one text, from its first word to its last."""

    def __init__(self, text: str, what: str) -> None:
        self._text = text
        self._what = what
        self._tokens = list(self._read())
        self._next = 0
        self._depth = 0

    def condition(self) -> Condition:
        found = self._any_of()
        if self._token.kind != "end":
            self._refuse("`and`, `or` or the end")
        return found

    def only_column(self) -> Column:
        column = self._column()
        if self._token.kind != "end":
            self._refuse("the end of the name")
        return column

    def _any_of(self) -> Condition:
        found = [self._all_of()]
        while self._took("or"):
            found.append(self._all_of())
        return Or(tuple(found)) if len(found) > 1 else found[0]

    def _all_of(self) -> Condition:
        found = [self._one()]
        while self._took("and"):
            found.append(self._one())
        return And(tuple(found)) if len(found) > 1 else found[0]

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse(f"no more than {_MAX_DEPTH} levels")
        if self._took("not"):
            found: Condition = Not(self._one())
        elif self._took("("):
            found = self._any_of()
            self._expect(")", "`and`, `or` or `)`")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Condition:
        left = self._operand(first=True)
        if self._sign is not None:
            return self._chain(left)
        negated = self._took("not")
        if not isinstance(left, Column):
            self._expect("in", "a comparison such as `=` or `<`")
            return Comparison(self._column(), "contains", left, negated)
        if not negated and self._took("is"):
            operator: Operator = "!=" if self._took("not") else "="
            return Comparison(left, operator, self._constant())
        if self._took("in"):
            members = tuple(_told(left, one) for one in self._members())
            return Comparison(left, "in", members, negated)
        if self._took("contains"):
            return Comparison(left, "contains", self._operand(), negated)
        if self._took("startswith"):
            return Comparison(left, "startswith", self._operand(), negated)
        if negated:
            self._refuse("`in`, `contains` or `startswith`")
        return Comparison(left, "=", value=True)

    def _chain(self, left: Any) -> Condition:
        found: list[Condition] = []
        while (sign := self._sign) is not None:
            place = self._token
            self._next += 1
            right = self._operand()
            found.append(self._compared(left, sign, right, place))
            left = right
        return And(tuple(found)) if len(found) > 1 else found[0]

    def _compared(self, left: Any, sign: str, right: Any, place: _Token) -> Comparison:
        if (left is None or right is None) and sign not in ("=", "!="):
            self._refuse("`is` or `is not` beside null", place)
        if isinstance(left, Column):
            value = _told(left, right) if sign in ("=", "!=") else right
            return Comparison(left, cast("Operator", sign), value)
        if not isinstance(right, Column):
            self._refuse("the name of a column beside", place)
        value = _told(right, left) if sign in ("=", "!=") else left
        return Comparison(right, cast("Operator", _FLIPPED[sign]), value)

    def _members(self) -> tuple[Any, ...]:
        closing = ")" if self._took("(") else "]" if self._took("[") else None
        if closing is None:
            self._refuse("a list such as ('a', 'b')")
        members = []
        while not self._took(closing):
            members.append(self._value())
            if not self._took(","):
                self._expect(closing, f"`,` or `{closing}`")
                break
        return tuple(members)

    def _constant(self) -> Any:
        if self._token.word not in _CONSTANTS and self._token.text.lower() != "nan":
            self._refuse("`null`, `not null`, `true`, `false` or `nan`")
        return self._value()

    def _operand(self, *, first: bool = False) -> Any:
        """Take a value or a name; double quotes hold a name only where a comparison begins."""
        token, after = self._token, self._after
        if first and token.text[:1] == '"' and after.word not in ("in", "not"):
            return self._column()
        if token.kind in ("number", "text") or token.word in _CONSTANTS:
            return self._value()
        if token.word == "date" and after.kind == "text":
            return self._value()
        return self._column("a value or the name of a column")

    def _value(self) -> Any:
        token = self._token
        if token.word == "date" and self._after.kind == "text":
            self._next += 1
            found = moment(_unquoted(self._token.text))
            if found is None:
                self._refuse("a date such as '2026-01-31' or '2026-01-31T12:00+02:00'")
            self._next += 1
            return found
        if token.kind not in ("number", "text") and token.word not in _CONSTANTS:
            self._refuse("a value, texts in quotes")
        self._next += 1
        if token.kind == "text":
            return _unquoted(token.text)
        return self._number(token) if token.kind == "number" else _CONSTANTS[token.word]

    def _number(self, token: _Token) -> int | float:
        try:
            return int(token.text)
        except ValueError:
            try:
                return float(token.text)
            except ValueError:
                self._refuse("a number", token)

    def _column(self, expected: str = "the name of a column") -> Column:
        token = self._token
        is_quoted = token.kind == "text" and token.text[0] == '"'
        if not is_quoted and (token.kind != "name" or token.word in _WORDS):
            self._refuse(expected)
        self._next += 1
        found = [_part(one[0]) for one in _PART.finditer(token.text)]
        if len(found) == 1:
            return Column(_split(found[0].text), token.at)
        return Column(tuple(found), token.at)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    @property
    def _after(self) -> _Token:
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    @property
    def _sign(self) -> str | None:
        word = self._token.word
        sign = _SIGNS.get(word, word)
        return sign if sign in _FLIPPED else None

    def _took(self, word: str) -> bool:
        if self._token.word != word:
            return False
        self._next += 1
        return True

    def _expect(self, word: str, expected: str) -> None:
        if not self._took(word):
            self._refuse(expected)

    def _read(self) -> Iterator[_Token]:
        at = 0
        while True:
            found = _TOKEN.match(self._text, at)
            if found is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                self._stop(_HINTS.get(self._text[at], "a name, a value or a sign"), at)
            kind = cast("_TokenKind", found.lastgroup)
            yield _Token(kind, found[kind], found.start(kind))
            if kind == "end":
                return
            at = found.end()

    def _refuse(self, expected: str, token: _Token | None = None) -> NoReturn:
        token = token or self._token
        self._stop(expected, token.at)

    def _stop(self, expected: str, at: int) -> NoReturn:
        met = self._text[at : at + _SHOWN_TOKEN].split("\n")[0]
        found = "the end" if not met.strip() else repr(met)
        message = (
            f"the {self._what} cannot be read at character {at + 1}: expected {expected}, "
            f"found {found}\n{pointed(self._text, at)}"
        )
        raise InvalidValueError(message)


def _told(column: Column, value: Any) -> Any:
    """Return a value as it is meant: ids are texts, and people write those of numbers bare."""
    return str(value) if type(value) is int and column.name == "id" else value


def _split(name: str) -> tuple[Part, ...]:
    return tuple(map(Part, name.split(".")))


def _part(written: str) -> Part:
    if written[0] == "`":
        return Part(written[1:-1].replace("``", "`"), quoted=True)
    if written[0] == '"':
        return Part(_unquoted(written), quoted=True)
    return Part(written)


def _unquoted(written: str) -> str:
    """Return what stands between quotes; a backslash before any other character is itself."""
    quote = written[0]

    def plain(found: re.Match[str]) -> str:
        code, escaped = found[1], found[2]
        if code:
            return chr(int(code, 16))
        if escaped:
            return _ESCAPES.get(escaped, found[0])
        return quote if found[0] == 2 * quote else found[0]

    return _ESCAPE.sub(plain, written[1:-1])
