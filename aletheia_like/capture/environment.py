"""The process and machine a run happens in; secrets are masked before they leave this module."""

from __future__ import annotations

import fnmatch
import functools
import getpass
import importlib.metadata
import json
import os
import platform
import re
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aletheia_like.capture.hardware import read_cpu, read_cpu_count, read_memory
from aletheia_like.model.records import Environment

MASK = "***"

_SECRET_NAME = re.compile(
    r"(?i)(secret|token|passw|pwd|credential|auth|private|api.?key|access.?key|(^|[_\-.])key$)"
)
_SECRET_VALUE = re.compile(
    r"(gh[pousr]_\w{16,}|github_pat_\w+|sk-[\w-]{16,}|AKIA[0-9A-Z]{12,}|AIza[\w-]{30,}|ya29\.[\w.-]+"
    r"|xox[abprs]-[\w-]+|hf_\w{16,}|glpat-[\w-]{16,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY)"
)
_HEADER = re.compile(r"^(name|version):[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_JOB = (
    "SLURM_JOB_ID SLURM_JOB_NAME SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID SLURM_PROCID "
    "SLURM_LOCALID SLURM_NTASKS SLURM_NODELIST SLURM_CLUSTER_NAME PBS_JOBID PBS_JOBNAME LSB_JOBID "
    "LSB_JOBNAME JOB_ID SGE_TASK_ID KUBERNETES_SERVICE_HOST POD_NAME POD_NAMESPACE "
    "CLOUD_ML_JOB_ID AIP_TRAINING_JOB_ID AWS_BATCH_JOB_ID RANK LOCAL_RANK WORLD_SIZE "
    "GITHUB_RUN_ID CI_JOB_ID RAY_JOB_ID"
).split()
_DECISIVE = (
    "PYTHONHASHSEED OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS "
    "CUBLAS_WORKSPACE_CONFIG NVIDIA_TF32_OVERRIDE TF_DETERMINISTIC_OPS TF_ENABLE_ONEDNN_OPTS "
    "XLA_FLAGS"
).split()
_LOCK_FILES = (
    "uv.lock poetry.lock pdm.lock Pipfile.lock pylock.toml pylock.*.toml requirements*.txt "
    "environment.yml environment.yaml conda-lock.yml pixi.lock"
).split()


def read_environment(*, allow: Sequence[str] = ()) -> Environment:
    """Return what can be known at once, without starting another program.

    Args:
        allow: Names, with `*`, of environment variables to record, beside those few on which the
            numbers of a run depend.
    """
    variables = dict(os.environ)
    return Environment(
        command=tuple(mask_arguments(_command())),
        entry_point=_entry_point(),
        cwd=_cwd(),
        host=socket.gethostname(),
        user=_user(),
        os=platform.platform(),
        python=platform.python_version(),
        executable=sys.executable,
        process=os.getpid(),
        cpu=read_cpu(),
        cpu_count=read_cpu_count(),
        memory=read_memory(),
        job={name: variables[name] for name in _JOB if variables.get(name)},
        variables=dict(_variables(variables, allow)),
    )


def read_packages() -> str:
    """Return the installed distributions as JSON text, sorted by name."""
    return _packages(tuple((place, _changed_at(place)) for place in sys.path))


def _changed_at(place: str) -> int | None:
    """Return when something was installed in a folder, or taken away; None if there is none."""
    try:
        return Path(place or ".").stat().st_mtime_ns
    except OSError:
        return None


@functools.lru_cache(maxsize=1)
def _packages(places: tuple[tuple[str, int | None], ...]) -> str:
    """Read the packages in these places; that takes hundreds of files, so it is not repeated."""
    packages: dict[str, dict[str, str]] = {}
    for one in importlib.metadata.distributions(path=[place for place, _ in places]):
        headers = _headers(one)
        if headers.get("name"):
            found = {"version": headers.get("version", "")}
            origin = one.read_text("direct_url.json")
            if origin:
                found["from"] = mask(json.loads(origin).get("url", ""))
            packages.setdefault(headers["name"], found)
    ordered = dict(sorted(packages.items(), key=lambda item: item[0].lower()))
    return json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"


def _headers(distribution: importlib.metadata.Distribution) -> dict[str, str]:
    """Return name and version; `metadata` would parse the whole text as an e-mail."""
    texts = map(distribution.read_text, ("METADATA", "PKG-INFO", ""))
    head = next(filter(None, texts), "").partition("\n\n")[0]
    found: dict[str, str] = {}
    for key, value in _HEADER.findall(head):
        found.setdefault(key.lower(), value)
    return found


def find_lock_files(root: Path) -> dict[str, Path]:
    """Return the lock and requirement files in a folder, by name."""
    names = sorted(entry.name for entry in os.scandir(root) if entry.is_file())
    return {
        name: root / name
        for name in names
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in _LOCK_FILES)
    }


def mask(text: str) -> str:
    """Return text with whatever looks like a credential replaced by `***`.

    Examples:
        >>> mask("postgres://me:pass@host/db")
        'postgres://***@host/db'
    """
    return _SECRET_VALUE.sub(MASK, _USERINFO.sub(f"{MASK}@", text))


def mask_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Yield a command line with the values of secret options masked.

    Examples:
        >>> list(mask_arguments(["train", "--api-key=abc", "--password", "abc", "--lr", "1"]))
        ['train', '--api-key=***', '--password', '***', '--lr', '1']
    """
    hide_next = False
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        if hide_next and not argument.startswith("-"):
            yield MASK
            hide_next = False
            continue
        hide_next = False
        if _SECRET_NAME.search(option) and (argument.startswith("-") or equals):
            yield f"{option}={MASK}" if equals else argument
            hide_next = not equals
        else:
            yield mask(argument)


def _variables(environment: Mapping[str, str], allow: Sequence[str]) -> Iterator[tuple[str, str]]:
    wanted = _any_of((*_DECISIVE, *allow)).match
    for name in sorted(environment):
        if wanted(name):
            yield name, MASK if _SECRET_NAME.search(name) else mask(environment[name])


@functools.cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what matches names that any of these match; asked one by one it takes ten times."""
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def _command() -> Sequence[str]:
    return sys.orig_argv or sys.argv


def _entry_point() -> str | None:
    """Return the script, `-m module`, or notebook that was started."""
    main = sys.modules.get("__main__")
    notebook = os.environ.get("JPY_SESSION_NAME")
    if notebook:
        return notebook
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return f"-m {spec.name.removesuffix('.__main__')}"
    script = getattr(main, "__file__", None)
    return None if script is None else str(Path(script).absolute())


def _cwd() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
