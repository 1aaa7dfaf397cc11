"""A dirty working tree as one archive, from which it can be rebuilt byte for byte.

The archive holds `changes.patch`, for people; `snapshot.json` with the commit and the paths that
are gone; and below `files/` every changed or untracked, not ignored, file as it is on disk, with
its mode, so that no filter or line-ending setting of another machine can change it. Equal trees
give equal bytes.
"""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from pathlib import Path

from aletheia_like.capture.git import GitFailedError, changed_files, run_git
from aletheia_like.errors import IntegrityError, InvalidValueError
from aletheia_like.model.records import GitState

_FILES = "files/"
_BIGGEST = 5


def take_snapshot(root: Path, state: GitState, *, max_bytes: int) -> bytes:
    """Return the archive of everything in which a working tree differs from its commit.

    Args:
        root: The working tree.
        state: Its state.
        max_bytes: Refuse more than this.

    Raises:
        InvalidValueError: It would be too large, or a submodule or nested repository has changes.
    """
    names = changed_files(root)
    present = [name for name in names if os.path.lexists(root / name)]
    _check(root, present, max_bytes)
    gone = sorted(set(names) - set(present))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        head = {"commit": state.commit, "gone": gone}
        _add_bytes(archive, "snapshot.json", json.dumps(head, indent=1).encode())
        _add_bytes(archive, "changes.patch", _patch(root, state))
        for name in present:
            _add_file(archive, root / name, _FILES + name)
    return content.getvalue()


def apply_snapshot(data: bytes, checkout: Path) -> None:
    """Make a clean checkout of the snapshot's commit into the tree that was archived.

    Raises:
        IntegrityError: The archive is damaged, or would write outside the checkout.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            head = json.loads(_read(archive, "snapshot.json"))
            for name in head["gone"]:
                _inside(checkout, name).unlink(missing_ok=True)
            for member in archive:
                if member.name.startswith(_FILES):
                    _restore(archive, member, _inside(checkout, member.name[len(_FILES) :]))
    except (tarfile.TarError, KeyError, ValueError) as error:
        message = f"the snapshot cannot be applied: {error}"
        raise IntegrityError(message) from error


def _check(root: Path, names: list[str], max_bytes: int) -> None:
    for name in names:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            message = (
                f"{name} is a repository of its own with changes: commit them inside it, "
                "or add it to .gitignore"
            )
            raise InvalidValueError(message)
    sizes = {name: (root / name).lstat().st_size for name in names}
    total = sum(sizes.values())
    if total > max_bytes:
        biggest = sorted(sizes, key=lambda name: -sizes[name])[:_BIGGEST]
        listed = ", ".join(f"{name} ({sizes[name]} bytes)" for name in biggest)
        message = (
            f"the snapshot of {root} would be {total} bytes, the limit is {max_bytes}: add large "
            f"files to .gitignore or raise snapshot_max_bytes; the largest are {listed}"
        )
        raise InvalidValueError(message)


def _patch(root: Path, state: GitState) -> bytes:
    try:
        against = ["HEAD"] if state.commit else ["--cached"]
        return run_git(root, "diff", "--binary", "--no-ext-diff", "--no-textconv", *against)
    except GitFailedError as error:
        return f"# no patch: {error}\n".encode()


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _add_file(archive: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    if path.is_symlink():
        member.type = tarfile.SYMTYPE
        member.linkname = str(path.readlink())
        archive.addfile(member)
        return
    data = path.read_bytes()
    executable = path.stat().st_mode & stat.S_IXUSR
    member.size = len(data)
    member.mode = 0o755 if executable else 0o644
    archive.addfile(member, io.BytesIO(data))


def _restore(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    if os.path.lexists(target):
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
        return
    target.write_bytes(_read(archive, member))
    target.chmod(member.mode & 0o777)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo | str) -> bytes:
    stream = archive.extractfile(member)
    if stream is None:
        message = f"{member} is no file of the snapshot"
        raise IntegrityError(message)
    return stream.read()


def _inside(checkout: Path, name: str) -> Path:
    """Return a path of the checkout, refusing one that leads out of it, by `..` or by a link."""
    target = checkout / name
    parent = target.parent.resolve()
    if ".." in Path(name).parts or not parent.is_relative_to(checkout.resolve()):
        message = f"the snapshot would write outside its checkout: {name!r}"
        raise IntegrityError(message)
    return target
