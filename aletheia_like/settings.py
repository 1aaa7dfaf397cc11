"""Which store, which cache, which rules: each setting's value and where it came from.

The first that names a setting wins: argument, environment (`ALETHEIA_<NAME>`), project file
(`aletheia.toml`, or `[tool.aletheia]` in `pyproject.toml`, from the current folder up to the git
root), user file, default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from aletheia_like.errors import SettingsError
from aletheia_like.model.bytecounts import parse_size

GIT_MODES = ("refuse", "snapshot", "warn", "off", "require")


@dataclass(frozen=True, slots=True)
class MemoryUrl:
    """A store that lives and dies with the process."""


@dataclass(frozen=True, slots=True)
class EmbeddedUrl:
    """SQLite and a folder of blobs below `path`."""

    path: Path


@dataclass(frozen=True, slots=True)
class FirestoreUrl:
    """A Firestore database, and the bucket beside it if one is named."""

    project: str
    database: str = "(default)"
    bucket: str | None = None

    def __str__(self) -> str:
        bucket = f"?bucket={self.bucket}" if self.bucket else ""
        return f"firestore://{self.project}/{self.database}{bucket}"


@dataclass(frozen=True, slots=True)
class BlobsUrl:
    """A place for bytes: `gs` with bucket and prefix, `file` with a folder, or any of fsspec's."""

    scheme: str
    bucket: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, resolved.

    Attributes:
        project: Name of the project.
        url: The store.
        blobs: Where bytes go, if not where the store puts them.
        cache_dir: Local copies of blobs.
        cache_max_bytes: What they may take in all; None is without bound.
        cache_min_free_bytes: What they leave free on their disk; None is without bound.
        git: What to do about a dirty tree: one of `GIT_MODES`.
        require_pushed: Refuse commits that no remote has.
        tag_runs: Set the tag `exp/NAME/RUN` on each run's commit.
        offline: Touch no network.
        home: Folder of the embedded store and of the journals.
        timeout: Seconds a call to a store may take in all, its repetitions included.
        environment_variables: Names, with `*`, of environment variables that runs record.
        snapshot_max_bytes: Greatest size of the stored differences of a dirty tree.
        rows_cache_max_bytes: What rows that SQL keeps in the cache may take in all.
        strict: Raise where recording fails, instead of warning and going on.
        console: Record what runs print.
        system_metrics: Seconds between samples of the machine's load during runs; 0 takes none.
        progress: Draw bars always or never; None leaves it to the terminal.
        origins: Where each value came from, by the setting's name.
    """

    project: str
    url: str
    blobs: str | None
    cache_dir: str
    cache_max_bytes: int | None
    cache_min_free_bytes: int | None
    git: str
    require_pushed: bool
    tag_runs: bool
    offline: bool
    home: str
    timeout: float
    environment_variables: tuple[str, ...]
    snapshot_max_bytes: int
    rows_cache_max_bytes: int
    strict: bool
    console: bool
    system_metrics: float
    progress: bool | None
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> str:
        """Return where a setting came from."""
        return self.origins.get(name, "default")

    def items(self) -> Iterator[tuple[str, Any, str]]:
        """Yield the name, value and origin of every setting."""
        for name in _SETTINGS:
            yield name, getattr(self, name), self.origin(name)


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any
    origin: str


def load_settings(folder: Path | None = None, **arguments: Any) -> Settings:
    """Resolve every setting.

    Args:
        folder: Where to look for project files from; the current folder by default.
        **arguments: Settings given in code; None means not given.

    Raises:
        SettingsError: A value or key makes no sense, a file is no TOML, or no project is named.
    """
    unknown = set(arguments) - set(_SETTINGS)
    if unknown:
        message = f"no such setting: {', '.join(sorted(unknown))}"
        raise SettingsError(message)
    layers = [
        {
            name: _Found(value, "argument")
            for name, value in arguments.items()
            if value is not None
        },
        _from_environment(),
        *_from_files(folder),
    ]
    found = {name: one for layer in reversed(layers) for name, one in layer.items()}
    values = {name: _parsed(name, one) for name, one in found.items()}
    origins = {name: one.origin for name, one in found.items()}
    return _completed(values, origins)


def parse_url(url: str) -> MemoryUrl | EmbeddedUrl | FirestoreUrl:
    """Return what the address of a store means.

    Raises:
        SettingsError: It is no address of a store; the message shows the forms there are.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryUrl()
    if parts.scheme == "file":
        return EmbeddedUrl(_file_path(url))
    if parts.scheme == "firestore" and parts.netloc:
        options = parse_qs(parts.query)
        strange = set(options) - {"bucket"}
        database = unquote(parts.path.strip("/")) or "(default)"
        if not strange and "/" not in database:
            bucket = options.get("bucket", [None])[0]
            return FirestoreUrl(parts.netloc, database, bucket and bucket.removeprefix("gs://"))
    message = (
        f"{url!r} is no address of a store: use firestore://GCP-PROJECT/(default)?bucket=BUCKET, "
        "file:///FOLDER or memory://"
    )
    if not parts.scheme:
        message += f"; this folder is {Path(url).expanduser().absolute().as_uri()}"
    raise SettingsError(message)


def parse_blobs_url(url: str) -> BlobsUrl:
    """Return what the address of a place for bytes means.

    Raises:
        SettingsError: It is no address.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return BlobsUrl("file", "", str(_file_path(url)))
    if parts.scheme == "gs" and not parts.netloc:
        message = f"{url!r} names no bucket: use gs://BUCKET or gs://BUCKET/PREFIX"
        raise SettingsError(message)
    if not parts.scheme or "://" not in url:
        message = f"{url!r} is no place for bytes: use gs://BUCKET, file:///FOLDER, s3://BUCKET"
        raise SettingsError(message)
    return BlobsUrl(parts.scheme, parts.netloc, parts.path.strip("/"))


def _file_path(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc in ("~", "localhost"):
        path = f"~{path}" if parts.netloc == "~" else path
    elif parts.netloc:
        message = f"{url!r} names a host: use file:///FOLDER with three slashes"
        raise SettingsError(message)
    folder = Path(path.removeprefix("/") if path.startswith("/~") else path).expanduser()
    if not folder.is_absolute() or folder == Path(folder.anchor):
        message = f"{url!r} names no folder: use file:///FOLDER with an absolute path"
        raise SettingsError(message)
    return folder


def _without_tilde(url: str) -> str:
    """Return the address of a folder in a home in full: other users have other homes."""
    return _file_path(url).as_uri() if url.startswith(("file://~", "file:///~")) else url


def _from_environment() -> dict[str, _Found]:
    names = {name: f"ALETHEIA_{name.upper()}" for name in _SETTINGS}
    return {
        name: _Found(os.environ[variable], variable)
        for name, variable in names.items()
        if os.environ.get(variable)
    }


def _from_files(folder: Path | None) -> Iterator[dict[str, _Found]]:
    for path, table in _project_files(folder or _current_folder()):
        yield _read_file(path, table)
        break
    user = _user_folder("config") / "config.toml"
    if user.is_file():
        yield _read_file(user, ())


def _project_files(folder: Path | None) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield the files that may configure the project, nearest first."""
    for one in () if folder is None else (folder, *folder.parents):
        if (one / "aletheia.toml").is_file():
            yield one / "aletheia.toml", ()
        pyproject = one / "pyproject.toml"
        if pyproject.is_file() and _has_table(pyproject):
            yield pyproject, ("tool", "aletheia")
        if (one / ".git").exists():
            return


def _current_folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _has_table(path: Path) -> bool:
    return b"tool.aletheia" in path.read_bytes()


def _read_file(path: Path, table: tuple[str, ...]) -> dict[str, _Found]:
    try:
        content: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise SettingsError(message) from error
    for key in table:
        content = content.get(key, {})
    place = f"{path} [{'.'.join(table)}]" if table else str(path)
    unknown = set(content) - set(_SETTINGS)
    if unknown:
        message = (
            f"{place}: no such setting: {', '.join(sorted(unknown))}; "
            f"there are {', '.join(_SETTINGS)}"
        )
        raise SettingsError(message)
    return {name: _Found(value, place) for name, value in content.items()}


def _parsed(name: str, found: _Found) -> Any:
    parse, wanted = _SETTINGS[name]
    try:
        return parse(found.value)
    except (ValueError, TypeError) as error:
        shown = f"{found.value!r:.80}"
        message = f"{name} is {wanted}, not {shown} (from {found.origin})"
        raise SettingsError(message) from error


def _completed(values: dict[str, Any], origins: dict[str, str]) -> Settings:
    project = values.get("project")
    if project is None:
        message = (
            "no project is named: give Metastore('name'), --project, ALETHEIA_PROJECT, or "
            "project = 'name' in aletheia.toml or [tool.aletheia] of pyproject.toml"
        )
        raise SettingsError(message)
    home = values.get("home") or str(_user_folder("data"))
    url, why = _choose_url(values.get("url"), project, home)
    if why is not None:
        origins["url"] = why
    parse_url(url)
    blobs = values.get("blobs")
    if blobs is not None:
        parse_blobs_url(blobs)
    return Settings(
        project=project,
        url=_without_tilde(url),
        blobs=blobs and _without_tilde(blobs),
        cache_dir=values.get("cache_dir") or str(_user_folder("cache")),
        cache_max_bytes=values.get("cache_max_bytes"),
        cache_min_free_bytes=values.get("cache_min_free_bytes"),
        git=values.get("git", "refuse"),
        require_pushed=values.get("require_pushed", False),
        tag_runs=values.get("tag_runs", False),
        offline=values.get("offline", False),
        home=home,
        timeout=values.get("timeout", 8.0),
        environment_variables=values.get("environment_variables", ()),
        snapshot_max_bytes=values.get("snapshot_max_bytes", 50_000_000),
        rows_cache_max_bytes=values.get("rows_cache_max_bytes", 4_000_000_000),
        strict=values.get("strict", False),
        console=values.get("console", False),
        system_metrics=values.get("system_metrics", 0.0),
        progress=values.get("progress"),
        origins=origins,
    )


def _choose_url(given: str | None, project: str, home: str) -> tuple[str, str | None]:
    """Return the store's address, and why it is this one if no setting names it."""
    if given is not None:
        return given, None
    for variable in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        if os.environ.get(variable):
            named = os.environ.get("GOOGLE_CLOUD_PROJECT")
            return str(FirestoreUrl(named or project)), f"{variable} is set"
    folder = Path(home).expanduser().absolute()
    tree = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if tree is not None and tree != Path.home():
        message = (
            f"the embedded store would lie in {folder}, inside the git tree {tree}, and make it "
            "dirty: set ALETHEIA_HOME to a folder elsewhere"
        )
        raise SettingsError(message)
    return f"file://{quote(str(folder))}", "default: the embedded store"


def _user_folder(kind: str) -> Path:
    import platformdirs

    folders: Mapping[str, Callable[..., Path]] = {
        "config": platformdirs.user_config_path,
        "data": platformdirs.user_data_path,
        "cache": platformdirs.user_cache_path,
    }
    return folders[kind]("aletheia", appauthor=False)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _folder(value: Any) -> str:
    return str(Path(_text(value)).expanduser().absolute())


def _switch(value: Any) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _git_mode(value: Any) -> str:
    if value not in GIT_MODES:
        raise ValueError
    return str(value)


def _seconds(value: Any) -> float:
    seconds = float(value)
    if isinstance(value, bool) or not seconds > 0:
        raise ValueError
    return seconds


def _pause(value: Any) -> float:
    return 0.0 if not isinstance(value, bool) and float(value) == 0 else _seconds(value)


def _bytes(value: Any) -> int:
    count = int(value)
    if isinstance(value, bool) or count < 0:
        raise ValueError
    return count


def _size(value: Any) -> int:
    return parse_size(int(value) if str(value).isdecimal() else value)


def _names(value: Any) -> tuple[str, ...]:
    listed = value.split(",") if isinstance(value, str) else value
    return tuple(_text(one).strip() for one in listed)


_SETTINGS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "project": (_text, "the name of a project"),
    "url": (_text, "the address of a store"),
    "blobs": (_text, "the address of a place for bytes"),
    "cache_dir": (_folder, "a folder"),
    "cache_max_bytes": (_size, "a number of bytes, or text such as '50 GB'"),
    "cache_min_free_bytes": (_size, "a number of bytes, or text such as '50 GB'"),
    "git": (_git_mode, f"one of {', '.join(GIT_MODES)}"),
    "require_pushed": (_switch, "true or false"),
    "tag_runs": (_switch, "true or false"),
    "offline": (_switch, "true or false"),
    "home": (_folder, "a folder"),
    "timeout": (_seconds, "a number of seconds above 0"),
    "environment_variables": (_names, "a list of names"),
    "snapshot_max_bytes": (_bytes, "a number of bytes"),
    "rows_cache_max_bytes": (_bytes, "a number of bytes"),
    "strict": (_switch, "true or false"),
    "console": (_switch, "true or false"),
    "system_metrics": (_pause, "a number of seconds, or 0"),
    "progress": (_switch, "true or false"),
}
