"""One column as bytes: numbers become small, their bytes are sorted by significance, then packed.

Whole numbers and timestamps are replaced by the distance to the one before; floats that are
decimal fractions, as sensors give them, by whole numbers first. The lowest bytes of all values
stand together, then the next ones, and so on: a plane of bytes that zstd cannot shorten is stored
as it is, one of zeros not at all. Equal values give equal bytes. See decision 0022.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from aletheia_like.errors import IntegrityError
from aletheia_like.series.schema import Base

Array = NDArray[Any]

DTYPES: Final[dict[Base, str]] = {
    "timestamp": "<M8[ns]",
    "float": "<f8",
    "int": "<i8",
    "bool": "|b1",
    "str": "|O",
}
_CODES: Final[dict[Base, int]] = {"timestamp": 1, "float": 2, "int": 3, "bool": 4, "str": 5}
_HEADER = struct.Struct("<BBBI")
_TRANSFORM = struct.Struct("<BBq")
_PLANE = struct.Struct("<BI")
_MAGIC = 0xA1
_PLAIN, _PLANES, _NULLABLE = 0, 1, 0x80
_AS_IS, _DELTA, _DECIMAL = 0, 1, 2
_ZEROS, _RAW, _ZSTD = 0, 1, 2
_PLAIN_BYTES = 128
_LEVEL = 1
_SAMPLE = 4_096
_WORTH = 0.95
_DIGITS = (0, 1, 2, 3, 4, 6)
_EXACT = 2.0**53
_MOST_VALUES = 1 << 20


def encode(values: Array, base: Base) -> bytes:
    """Return a column as bytes.

    Args:
        values: In the type that `DTYPES` names; masked, or with None for text, where absent.
        base: The type of the column.
    """
    if base == "str":
        return _encode_text(values)
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    plain = np.ascontiguousarray(np.ma.filled(values, 0) if mask is not None else values)
    form = _PLAIN if plain.nbytes <= _PLAIN_BYTES else _PLANES
    head = _HEADER.pack(
        _MAGIC, _CODES[base], form | (_NULLABLE if mask is not None else 0), len(plain)
    )
    body = plain.tobytes() if form == _PLAIN else _encode_planes(plain, base)
    return head + (_encode_mask(mask) if mask is not None else b"") + body


def count_of(data: bytes) -> int:
    """Return how many values a column has."""
    return _header(data)[2]


def decode(data: bytes, base: Base) -> Array:
    """Return the values of a column.

    Raises:
        IntegrityError: These are no bytes of such a column.
    """
    if base == "str":
        text: Array = _guarded(_decode_text, data)
        return text
    count = count_of(data)
    if count > len(data) * _MOST_VALUES:
        message = f"{len(data)} bytes cannot be a column of {count} values"
        raise IntegrityError(message)
    out: Array = np.empty(count, DTYPES[base])
    mask = decode_into(data, base, out)
    return out if mask is None else np.ma.MaskedArray(out, mask)


def decode_into(data: bytes, base: Base, out: Array) -> Array | None:
    """Write the values of a column of numbers into an array, and return which are absent.

    Raises:
        IntegrityError: These are no bytes of such a column, or of another length.
    """
    mask: Array | None = _guarded(_decode_numbers, data, base, out)
    return mask


def _guarded(action: Any, data: bytes, *arguments: Any) -> Any:
    try:
        return action(data, *arguments)
    except (ValueError, IndexError, struct.error, zstandard.ZstdError, OverflowError) as error:
        message = f"the bytes of a column are damaged ({len(data)} bytes): {error}"
        raise IntegrityError(message) from error


def _header(data: bytes) -> tuple[int, int, int]:
    try:
        magic, code, form, count = _HEADER.unpack_from(data)
    except struct.error as error:
        message = f"{len(data)} bytes are too few for a column"
        raise IntegrityError(message) from error
    if magic != _MAGIC:
        message = "these bytes are no column of a series"
        raise IntegrityError(message)
    return code, form, count


def _decode_numbers(data: bytes, base: Base, out: Array) -> Array | None:
    code, form, count = _header(data)
    if code != _CODES[base] or count != len(out):
        message = f"a column of {len(out)} values of {base} was expected"
        raise ValueError(message)
    view = memoryview(data)[_HEADER.size :]
    mask = None
    if form & _NULLABLE:
        mask, view = _decode_mask(view, count)
    if form & ~_NULLABLE == _PLAIN:
        out[:] = np.frombuffer(view, DTYPES[base], count)
    else:
        _decode_planes(view, base, out)
    return mask


def _encode_planes(values: Array, base: Base) -> bytes:
    if base == "bool":
        return _TRANSFORM.pack(_AS_IS, 0, 0) + _pack_planes(values.view(np.uint8), 1)
    if base == "float":
        digits = _decimal_digits(values)
        if digits is None:
            return _TRANSFORM.pack(_AS_IS, 0, 0) + _pack_planes(values.view(np.uint8), 8)
        scaled = np.rint(values * 10.0**digits).astype("<i8")
        return _encode_deltas(scaled, _DECIMAL, digits)
    return _encode_deltas(values.view("<i8"), _DELTA, 0)


def _encode_deltas(values: Array, transform: int, digits: int) -> bytes:
    head = _TRANSFORM.pack(transform, digits, int(values[0]))
    deltas = np.empty(len(values), "<i8")
    deltas[0] = 0
    np.subtract(values[1:], values[:-1], out=deltas[1:])
    # Zigzag, so that small steps down are small numbers too.
    signs = deltas >> 63
    deltas <<= 1
    deltas ^= signs
    return head + _pack_planes(deltas.view(np.uint8), 8)


def _decimal_digits(values: Array) -> int | None:
    """Return how many decimal digits all values have, or None if they are no such fractions."""
    sample = values[:: max(1, len(values) // 512)]
    for digits in _DIGITS:
        if _is_decimal(sample, digits):
            return digits if _is_decimal(values, digits) else None
    return None


def _is_decimal(values: Array, digits: int) -> bool:
    scale = 10.0**digits
    with np.errstate(all="ignore"):
        scaled = values * scale
        if not bool((np.abs(scaled) < _EXACT).all()):
            return False
        np.rint(scaled, out=scaled)
        zeros = scaled == 0
        if bool(np.signbit(values[zeros]).any()):
            return False
        scaled /= scale
        return bool((scaled == values).all())


def _pack_planes(octets: Array, width: int) -> bytes:
    planes = octets.reshape(-1, width)
    heads, bodies = [], []
    for number in range(width):
        kind, body = _pack_plane(np.ascontiguousarray(planes[:, number]))
        heads.append(_PLANE.pack(kind, len(body)))
        bodies.append(body)
    return b"".join([*heads, *bodies])


def _pack_plane(plane: Array) -> tuple[int, bytes]:
    if not plane.any():
        return _ZEROS, b""
    middle = max(0, len(plane) // 2 - _SAMPLE // 2)
    sample = plane[middle : middle + _SAMPLE].tobytes()
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    if len(compressor.compress(sample)) > len(sample) * _WORTH:
        return _RAW, plane.tobytes()
    return _ZSTD, compressor.compress(plane.data)


def _decode_planes(view: memoryview, base: Base, out: Array) -> None:
    transform, digits, first = _TRANSFORM.unpack_from(view)
    view = view[_TRANSFORM.size :]
    width = 1 if base == "bool" else 8
    target: Array = out if transform != _DECIMAL else np.empty(len(out), "<i8")
    _unpack_planes(view, target.view(np.uint8).reshape(-1, width), width)
    if transform == _AS_IS:
        return
    numbers = target.view("<i8")
    signs = numbers & 1
    np.negative(signs, out=signs)
    np.right_shift(numbers.view("<u8"), 1, out=numbers.view("<u8"))
    numbers ^= signs
    if len(numbers):
        numbers[0] = first
    np.cumsum(numbers, out=numbers)
    if transform == _DECIMAL:
        np.divide(numbers, 10.0**digits, out=out)


def _unpack_planes(view: memoryview, octets: Array, width: int) -> None:
    place = _PLANE.size * width
    for number in range(width):
        kind, size = _PLANE.unpack_from(view, _PLANE.size * number)
        body = view[place : place + size]
        place += size
        if kind == _ZEROS:
            octets[:, number] = 0
            continue
        if kind == _ZSTD:
            plain: Any = _unpacked(body, len(octets))
        else:
            plain = body
        octets[:, number] = np.frombuffer(plain, np.uint8)


def _unpacked(data: Any, size: int) -> bytes:
    """Return what zstd packed, if it is of this size."""
    if zstandard.frame_content_size(data) != size:
        message = f"{size} bytes were expected"
        raise ValueError(message)
    return zstandard.ZstdDecompressor().decompress(data)


def _encode_mask(mask: Array) -> bytes:
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(np.packbits(mask).tobytes())
    return struct.pack("<I", len(packed)) + packed


def _decode_mask(view: memoryview, count: int) -> tuple[Array, memoryview]:
    (size,) = struct.unpack_from("<I", view)
    packed = _unpacked(view[4 : 4 + size], -(-count // 8))
    mask = np.unpackbits(np.frombuffer(packed, np.uint8), count=count).astype(bool)
    return mask, view[4 + size :]


def _encode_text(values: Array) -> bytes:
    encoded = [b"" if one is None else one.encode() for one in values.tolist()]
    lengths = np.fromiter(
        (-1 if one is None else len(text) for one, text in zip(values, encoded, strict=True)),
        "<i8",
        len(encoded),
    )
    sizes = encode(lengths, "int")
    text = b"".join(encoded)
    is_long = len(text) > _PLAIN_BYTES
    body = zstandard.ZstdCompressor(level=_LEVEL).compress(text) if is_long else text
    head = _HEADER.pack(_MAGIC, _CODES["str"], int(is_long), len(values))
    return head + struct.pack("<IQ", len(sizes), len(text)) + sizes + body


def _decode_text(data: bytes) -> Array:
    code, is_long, count = _header(data)
    if code != _CODES["str"]:
        message = "a column of text was expected"
        raise ValueError(message)
    start = _HEADER.size + 12
    sizes, length = struct.unpack_from("<IQ", data, _HEADER.size)
    lengths = decode(data[start : start + sizes], "int").tolist()
    text = data[start + sizes :]
    if is_long:
        text = _unpacked(text, length)
    out: Array = np.empty(count, object)
    place = 0
    for number, size in enumerate(lengths):
        if size >= 0:
            out[number] = text[place : place + size].decode()
            place += size
    if place != len(text):
        message = f"text of {place} bytes was expected, not of {len(text)}"
        raise ValueError(message)
    return out
