"""What a handler is: it turns an object into one file, and the file into an equal object."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aletheia_like.errors import InvalidValueError, MissingExtraError

Options = Mapping[str, Any]


class Handler(ABC):
    """Turns objects into files and back; a subclass is usable by its name once it is defined.

    A distribution offers handlers by entry points of the group `aletheia_like.handlers`, so that
    they are found without an import.

    Attributes:
        name: What `add_artifact(handler=…)` calls it; lower case.
        media_type: Of its files.
        suffix: Of its files, with the dot.
        trusted: Whether loading a file runs no code that the file names.
        output_only: Whether its files are made for people and programs, and cannot be loaded.
    """

    name: ClassVar[str]
    media_type: ClassVar[str]
    suffix: ClassVar[str]
    trusted: ClassVar[bool] = True
    output_only: ClassVar[bool] = False

    @abstractmethod
    def dump(self, value: Any, path: Path, *args: Any, **options: Any) -> Options | None:
        """Write a value to a new file.

        Args:
            value: What to write; not to be changed.
            path: Of the file. Nothing else is kept of its folder.
            *args: None are given; it stands for whatever options a subclass has.
            **options: What the user gave.

        Returns:
            Options that `load` gets unless the user gives others, or None.

        Raises:
            InvalidValueError: It is of another kind, or would not come back equal.
        """

    @abstractmethod
    def load(self, path: Path, *args: Any, **options: Any) -> Any:
        """Return the value of a file. The file goes on to be shared: it must not be changed."""

    def accepts(self, value: Any) -> bool:
        """Whether this is the handler for a value if the user names none."""
        return False

    def form(self, options: Options) -> tuple[str, str]:
        """Return suffix and media type of the file that these options make."""
        return self.suffix, self.media_type

    def libraries(self, value: Any) -> tuple[str, ...]:
        """Return the distributions whose versions matter to a file of this value."""
        return ()

    def risks(self, path: Path, options: Options) -> tuple[str, ...]:
        """Return what loading a file would run; it is asked for trust if there is anything."""
        return () if self.trusted else ("whatever code the file names",)

    def __repr__(self) -> str:
        return f"<Handler {self.name}>"


def needed(module: str, install: str = "'aletheia-like[handlers]'") -> Any:
    """Return an optional module.

    Args:
        module: Its name.
        install: What to give to `pip install`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        message = f"this needs {module.partition('.')[0]}: pip install {install}"
        raise MissingExtraError(message) from error


def unwritable(mode: str | None) -> str | None:
    """Return how a file is to be mapped into memory.

    Raises:
        InvalidValueError: What is changed in memory would change the file, which others share.
    """
    if mode in (None, "r", "c"):
        return mode
    message = f"mmap_mode={mode!r} would change the file: it is 'r', or 'c' for changes in memory"
    raise InvalidValueError(message)


def is_a(value: Any, package: str, *names: str) -> bool:
    """Whether a value's class, or one it derives from, has such a name in a package.

    The package is not imported: whoever has such a value has it imported.
    """
    return any(
        one.__name__ in names and one.__module__.partition(".")[0] == package
        for one in type(value).__mro__
    )
