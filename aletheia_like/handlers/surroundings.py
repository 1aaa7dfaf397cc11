"""What a file was written with, and whether this environment can read it.

    differs                          a handler of data     a handler of code
    Python's minor version           nothing               refused
    a library's major version        a warning             refused
    a library's minor version        nothing               a warning
    a library is not installed       refused               refused

`validate=False` skips all of it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata

from aletheia_like.errors import InvalidValueError, MissingExtraError

PYTHON = "python"


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of installed distributions."""
    found = {name: _version(name) for name in distributions}
    known = {name: version for name, version in found.items() if version is not None}
    return {PYTHON: platform.python_version(), **known}


def check_surroundings(what: str, written: Mapping[str, str], *, runs_code: bool) -> list[str]:
    """Return warnings about an environment that differs from the one of the writing.

    Args:
        what: Names the version and its handler.
        written: What `versions_of` said then.
        runs_code: Whether the file holds code, or the insides of classes.

    Raises:
        MissingExtraError: A library is not installed.
        InvalidValueError: It differs too much.
    """
    warnings = []
    for name, was in written.items():
        now = platform.python_version() if name == PYTHON else _version(name)
        if now is None:
            message = f"{what} needs {name}: pip install '{name}=={was}'"
            raise MissingExtraError(message)
        major = was.split(".")[:1] != now.split(".")[:1]
        minor = was.split(".")[:2] != now.split(".")[:2]
        if runs_code and (major or (minor and name == PYTHON)):
            message = (
                f"{what} was written with {name} {was}, this is {now}, and objects may not fit: "
                f"load it with {name} {was}, or try load(validate=False)"
            )
            raise InvalidValueError(message)
        if name != PYTHON and (major or (minor and runs_code)):
            warnings.append(f"{what} was written with {name} {was}, this is {now}")
    return warnings


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
