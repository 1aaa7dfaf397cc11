"""Which names are allowed, and how a name becomes the id of a document.

A name is what a person types; it may hold spaces, slashes, dots and any script. An id is what a
store accepts. `to_id` escapes only what no store can hold, so nearly every id reads as its name.
"""

from __future__ import annotations

import re
import unicodedata

from aletheia_like.errors import InvalidValueError

MAX_ID_BYTES = 1_500
"""Firestore's limit for one document id, in bytes of UTF-8."""

_SURELY_SHORT = MAX_ID_BYTES // 5
"""So many characters never take more: four bytes each at most, and two to escape the whole."""

_ESCAPED = re.compile(r"%([0-9A-F]{2})")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_RESERVED = re.compile(r"__.*__|_{2,3}", re.DOTALL)


def check_name(name: object, what: str) -> str:
    """Return `name` if it can name a `what` ("experiment", "dataset", …).

    Raises:
        InvalidValueError: It is not text, is blank, has control characters or lone surrogates,
            or is longer than an id can be.
    """
    if not isinstance(name, str):
        kind = type(name).__name__
        message = f"the name of {with_article(what)} must be text, not {kind}: {name!r:.80}"
        raise InvalidValueError(message)
    if not name.isprintable() or not name.strip():
        _check_visible(name, what)
    if name.startswith("@"):
        message = (
            f"the name of {with_article(what)} must not start with '@', which marks versions: "
            f"{name!r:.80}"
        )
        raise InvalidValueError(message)
    if len(name) <= _SURELY_SHORT:
        return name
    size = len(_escape(name).encode())
    if size > MAX_ID_BYTES:
        message = (
            f"the name of {with_article(what)} takes {size} bytes, the limit is {MAX_ID_BYTES}: "
            f"{name[:40]!r}…: shorten it and keep the long form as its description"
        )
        raise InvalidValueError(message)
    return name


def _check_visible(name: str, what: str) -> None:
    if all(unicodedata.category(character) in _INVISIBLE for character in name):
        message = (
            f"the name of {with_article(what)} is empty: give it at least one visible character"
        )
        raise InvalidValueError(message)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        message = (
            f"the name of {with_article(what)} has control or surrogate characters: "
            f"{name!r:.80}: remove them"
        )
        raise InvalidValueError(message)


def with_article(noun: str) -> str:
    """Return a noun with its article.

    Examples:
        >>> with_article("run"), with_article("experiment")
        ('a run', 'an experiment')
    """
    return f"{'an' if noun[:1].lower() in tuple('aeiou') else 'a'} {noun}"


def to_id(name: str, what: str) -> str:
    """Return the document id for a name; `from_id` gives the name back.

    Examples:
        >>> to_id("resnet on mnist", "experiment"), to_id("a/b", "experiment")
        ('resnet on mnist', 'a%2Fb')
    """
    return _escape(check_name(name, what))


def from_id(id_: str) -> str:
    """Return the name that `to_id` turned into this id."""
    if "%" not in id_:
        return id_
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), id_)


def _escape(name: str) -> str:
    escaped = name.replace("%", "%25").replace("/", "%2F")
    if escaped in (".", ".."):
        return escaped.replace(".", "%2E")
    if _RESERVED.fullmatch(escaped):
        return "%5F" + escaped[1:]
    return escaped


_ADJECTIVES = (
    "amber ample azure bold brave bright brisk calm clear clever cosmic crisp dapper daring deft "
    "eager early easy fair fancy fleet fond fresh gentle glad golden grand happy hardy honest "
    "humble ideal jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble "
    "noble patient plain polite proud quick quiet rapid ready rosy sage sharp silver sleek smooth "
    "snug solid sound spry steady still sturdy sunny sure sweet swift tidy true vivid warm wise"
).split()

_NOUNS = (
    "acorn anchor arbor aspen badger basil beacon birch bison brook canyon cedar cliff clover "
    "cobalt comet coral crane creek cypress dawn delta dune eagle ember falcon fern finch fjord "
    "forest fox garnet glacier grove harbor hawk hazel heron hollow ibis inlet iris island ivy "
    "jasper juniper kestrel lagoon lark laurel lichen lilac lotus lynx maple marsh meadow mesa "
    "moss oak olive onyx opal orchid osprey otter owl pebble pine plover pond poplar quail quartz "
    "raven reef ridge river robin sable sage shore sparrow spruce stone summit swan teal thistle "
    "tide topaz tulip valley vale willow wren yarrow zephyr"
).split()


def human_name(number: int) -> str:
    """Return the two-word name for a non-negative random number, such as `swift-heron`."""
    adjective = _ADJECTIVES[number % len(_ADJECTIVES)]
    noun = _NOUNS[number // len(_ADJECTIVES) % len(_NOUNS)]
    return f"{adjective}-{noun}"


def split_reference(reference: str) -> list[str]:
    r"""Return the names in `PROJECT/EXPERIMENT/RUN`; a slash inside a name is written `\/`.

    Examples:
        >>> split_reference("p/which species/1"), split_reference(r"a\/b/1")
        (['p', 'which species', '1'], ['a/b', '1'])
    """
    parts = re.split(r"(?<!\\)/", reference)
    return [part.replace("\\/", "/") for part in parts]
