"""Handlers of images and figures: of Pillow, matplotlib and plotly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.handler import Handler, Options, is_a, needed
from aletheia_like.model.names import with_article

T = TypeVar("T")

_IMAGES = {
    "png": (".png", "image/png"),
    "jpeg": (".jpg", "image/jpeg"),
    "webp": (".webp", "image/webp"),
    "tiff": (".tiff", "image/tiff"),
    "gif": (".gif", "image/gif"),
    "bmp": (".bmp", "image/bmp"),
}
_FIGURES: Mapping[str, tuple[str, Mapping[str, None]]] = {
    "png": ("image/png", {}),
    "svg": ("image/svg+xml", {"Date": None}),
    "pdf": ("application/pdf", {"CreationDate": None}),
}
"""Media types, and the metadata that would make equal figures differ."""


class Image(Handler):
    """A picture of Pillow, or an array that is one; PNG unless `format` says otherwise.

    JPEG and lossy WebP come back similar, not equal.
    """

    name = "image"
    media_type = "image/png"
    suffix = ".png"

    def accepts(self, value: Any) -> bool:
        return is_a(value, "PIL", "Image")

    def form(self, options: Options) -> tuple[str, str]:
        return _chosen(_image_format(options.get("format", "png")), _IMAGES)

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        if is_a(value, "numpy", "ndarray"):
            value = needed("PIL.Image").fromarray(value)
        if not self.accepts(value):
            message = f"{with_article(type(value).__name__)} is no image of Pillow, nor an array"
            raise InvalidValueError(message)
        value.save(path, format=_image_format(options.pop("format", "png")), **options)

    def load(self, path: Path) -> Any:
        # No other formats: some of Pillow's start programs.
        with needed("PIL.Image").open(path, formats=list(_IMAGES)) as image:
            return image.copy()

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("pillow",)


class Figure(Handler):
    """A figure of matplotlib as `format` png, svg or pdf; it is for people, and never loaded."""

    name = "figure"
    media_type = "image/png"
    suffix = ".png"
    output_only = True

    def accepts(self, value: Any) -> bool:
        return is_a(value, "matplotlib", "Figure")

    def form(self, options: Options) -> tuple[str, str]:
        name = str(options.get("format", "png"))
        return f".{name}", _chosen(name, _FIGURES)[0]

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        if not self.accepts(value):
            message = f"{with_article(type(value).__name__)} is no figure of matplotlib"
            raise InvalidValueError(message)
        name = str(options.setdefault("format", "png"))
        options["metadata"] = {**_chosen(name, _FIGURES)[1], **options.get("metadata", {})}
        # Ids within a picture are random otherwise.
        with needed("matplotlib").rc_context({"svg.hashsalt": "aletheia"}):
            value.savefig(path, **options)

    def load(self, path: Path) -> Any:
        message = f"{path.name} is the picture of a figure: download() or open() it"
        raise InvalidValueError(message)

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("matplotlib",)


class Plotly(Handler):
    """A figure of plotly, as JSON."""

    name = "plotly"
    media_type = "application/vnd.plotly.v1+json"
    suffix = ".plotly.json"

    def accepts(self, value: Any) -> bool:
        return is_a(value, "plotly", "BaseFigure")

    def dump(self, value: Any, path: Path, **options: Any) -> None:
        if not self.accepts(value):
            message = f"{with_article(type(value).__name__)} is no figure of plotly"
            raise InvalidValueError(message)
        needed("plotly.io").write_json(value, str(path), **{"engine": "json", **options})

    def load(self, path: Path) -> Any:
        return needed("plotly.io").read_json(str(path))

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("plotly",)


def _image_format(name: Any) -> str:
    lower = str(name).lower()
    return "jpeg" if lower == "jpg" else lower


def _chosen(name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        message = f"format={name!r}: it is one of {', '.join(known)}"
        raise InvalidValueError(message)
    return known[name]
