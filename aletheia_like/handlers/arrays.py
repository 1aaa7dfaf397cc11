"""Handlers of arrays and tensors; none of them reads pickles."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aletheia_like.errors import InvalidValueError
from aletheia_like.handlers.handler import Handler, Options, is_a, needed, unwritable
from aletheia_like.model.names import with_article

_NPY = ".npy"


class Npy(Handler):
    """One numpy array; what can be made one comes back as one."""

    name = "npy"
    media_type = "application/x-npy"
    suffix = _NPY

    def accepts(self, value: Any) -> bool:
        return is_a(value, "numpy", "ndarray")

    def dump(self, value: Any, path: Path) -> None:
        with path.open("wb") as stream:
            _write_array(value, stream)

    def load(self, path: Path, mmap_mode: str | None = None) -> Any:
        return needed("numpy").load(path, mmap_mode=unwritable(mmap_mode), allow_pickle=False)

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("numpy",)


class Npz(Handler):
    """A dictionary of numpy arrays; smaller and slower with `compressed=True`."""

    name = "npz"
    media_type = "application/x-npz"
    suffix = ".npz"

    def accepts(self, value: Any) -> bool:
        return _all(value, "numpy", "ndarray")

    def dump(self, value: Any, path: Path, *, compressed: bool = False) -> None:
        method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "x") as archive:
            for name, array in _named(value).items():
                if "\0" in name or "\\" in name:
                    message = f"{name!r:.80} cannot name an array in a file"
                    raise InvalidValueError(message)
                # Its time is fixed, so that equal arrays make equal bytes.
                member = zipfile.ZipInfo(name + _NPY)
                member.compress_type = method
                with archive.open(member, "w", force_zip64=True) as stream:
                    _write_array(array, stream)

    def load(self, path: Path) -> dict[str, Any]:
        from numpy.lib import format as npy

        with zipfile.ZipFile(path) as archive:
            return {
                member.filename.removesuffix(_NPY): npy.read_array(stream, allow_pickle=False)
                for member in archive.infolist()
                for stream in [archive.open(member)]
            }

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("numpy",)


class Safetensors(Handler):
    """A dictionary of tensors, of numpy or torch; they come back as what they were."""

    name = "safetensors"
    media_type = "application/vnd.safetensors"
    suffix = ".safetensors"

    def dump(self, value: Any, path: Path, metadata: Mapping[str, str] | None = None) -> Options:
        tensors = _named(value)
        if "__metadata__" in tensors:
            message = "'__metadata__' cannot name a tensor: it is what the format itself uses"
            raise InvalidValueError(message)
        if _all(value, "torch", "Tensor"):
            tensors = {name: one.detach().contiguous() for name, one in tensors.items()}
            needed("safetensors.torch").save_file(tensors, path, metadata)
            return {"framework": "torch"}
        if not all(is_a(one, "numpy", "ndarray") for one in tensors.values()):
            message = "safetensors holds a dictionary of arrays of numpy or tensors of torch"
            raise InvalidValueError(message)
        numpy, library = needed("numpy"), needed("safetensors.numpy")
        for name, one in tensors.items():
            _check_array(one, name)
        # `ascontiguousarray` would make a list of one number of a number.
        tensors = {name: numpy.asarray(one, order="C") for name, one in tensors.items()}
        library.save_file(tensors, path, metadata)
        return {"framework": "numpy"}

    def load(self, path: Path, framework: str = "numpy", **options: Any) -> dict[str, Any]:
        if framework == "torch":
            needed("torch", "torch")
        loaded: dict[str, Any] = needed(f"safetensors.{framework}").load_file(path, **options)
        return loaded

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("safetensors", "torch" if _all(value, "torch", "Tensor") else "numpy")


class Torch(Handler):
    """What `torch.save` writes: tensors and state dictionaries, loaded with `weights_only`."""

    name = "torch"
    media_type = "application/vnd.pytorch"
    suffix = ".pt"

    def accepts(self, value: Any) -> bool:
        return is_a(value, "torch", "Tensor") or _all(value, "torch", "Tensor")

    def dump(self, value: Any, path: Path) -> None:
        needed("torch", "torch").save(value, path)

    def load(self, path: Path, map_location: Any = None, *, mmap: bool = False) -> Any:
        torch = needed("torch", "torch")
        # Whoever trusts was shown what there is beside weights.
        weights_only = not self.risks(path, {})
        return torch.load(path, map_location, weights_only=weights_only, mmap=mmap)

    def risks(self, path: Path, options: Options) -> tuple[str, ...]:
        serialization = needed("torch.serialization", "torch")
        return tuple(serialization.get_unsafe_globals_in_checkpoint(path))

    def libraries(self, value: Any) -> tuple[str, ...]:
        return ("torch",)


def _write_array(value: Any, stream: Any) -> None:
    numpy = needed("numpy")
    array = numpy.asanyarray(value)
    _check_array(array, "it")
    needed("numpy.lib.format").write_array(stream, array, allow_pickle=False)


def _check_array(array: Any, what: str) -> None:
    """Refuse what numpy would only pickle, or write without what makes it special."""
    if array.dtype.hasobject:
        message = f"{what} holds Python objects ({array.dtype}): convert it to numbers or texts"
        raise InvalidValueError(message)
    if is_a(array, "numpy", "MaskedArray"):
        message = f"{what} is masked, and its mask would be lost: store .data and .mask as npz"
        raise InvalidValueError(message)


def _all(value: Any, package: str, name: str) -> bool:
    """Whether it is a dictionary of such values, and not empty."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(is_a(one, package, name) for one in value.values())
    )


def _named(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        message = f"{with_article(type(value).__name__)} is no dictionary of arrays by their names"
        raise InvalidValueError(message)
    for key in value:
        if not isinstance(key, str):
            message = f"it has the key {key!r:.80}: arrays are named by texts"
            raise InvalidValueError(message)
    return dict(value)
