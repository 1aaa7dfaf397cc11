"""W6: one large object and many small ones from fake-gcs-server, side by side with its peers.

The least of interleaved rounds counts: other programs share the cores. What a system gives was
compared with its sha-256. Ours makes a directory of its cache of the small ones, as `get_dataset`
does; the others write files. The client of Hugging Face speaks to its own Hub only, so it is
missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks.installing import interpreter
from tests.benchmarks.options import Options
from tests.benchmarks.reporting import table
from tests.benchmarks.systems import ROOT, SCRIPTS

SMALL_BYTES = 10_240
COLUMNS = {
    "large_s": "large s",
    "large_cpu_s": "CPU s",
    "peak_mb": "peak MB",
    "many_s": "many s",
    "many_cpu_s": "CPU s",
}
SYSTEMS = {
    "aletheia_like": ("aletheia", None),
    "google-cloud-storage": ("google", None),
    "its transfer_manager": ("transfer_manager", None),
    "gcsfs": ("gcsfs", "gcsfs"),
    "fsspec filecache": ("filecache", "gcsfs"),
    "obstore": ("obstore", "obstore"),
    "pooch": ("pooch", "pooch"),
    "cloudpathlib": ("cloudpathlib", "cloudpathlib"),
}
"""Function of the task and environment of a peer, by what is shown."""


def transfers(options: Options) -> list[str]:
    """Measure 256 MiB and 300 files of 10 KiB; return what failed.

    More files would measure the emulator, which looks through all objects for each request.
    """
    from aletheia_like.testing.emulators import BUCKET, GcsEmulator, create_bucket

    size, count = (1 << 20, 3) if options.small else (256 << 20, 300)
    chosen = {name: one for name, one in SYSTEMS.items() if _is_here(name, one[1], options)}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    failed: set[str] = set()
    with GcsEmulator() as server, tempfile.TemporaryDirectory() as place:
        create_bucket(server.url)
        os.environ |= server.environment
        given = {"bucket": BUCKET, **_store(Path(place), size, count)}
        for number in range(options.rounds):
            for name, (task, peer) in chosen.items():
                print(f"{name}, round {number + 1}", file=sys.stderr)
                found = None if name in failed else _measured(task, peer, given, options)
                if found is None:
                    failed.add(name)
                else:
                    rounds[name].append(found)
    least = {
        name: {key: min(one[key] for one in found) for key in found[0]}
        for name, found in rounds.items()
        if found
    }
    table("transfers", COLUMNS, least, mebibytes=size >> 20, files=count, rounds=options.rounds)
    return sorted(failed)


def _is_here(name: str, peer: str | None, options: Options) -> bool:
    if options.systems and name not in options.systems:
        return False
    return peer is None or (
        options.peers is not None and interpreter(options.peers, peer).exists()
    )


def _store(place: Path, size: int, count: int) -> dict[str, object]:
    """Store random objects; return their names."""
    from aletheia_like.adapters.gcs import GcsBlobStore
    from aletheia_like.model.digests import digest_stream
    from aletheia_like.testing.emulators import BUCKET

    store = GcsBlobStore(BUCKET)

    def put(number: int) -> str:
        path = place / str(number)
        with path.open("wb") as stream:
            left = SMALL_BYTES if number else size
            while left > 0:
                left -= stream.write(os.urandom(min(left, 1 << 20)))
        with path.open("rb") as stream:
            digest = digest_stream(stream)
        store.upload(digest, path)
        path.unlink()
        return f"blobs/{digest[:2]}/{digest}"

    with ThreadPoolExecutor(4) as pool:
        small = list(pool.map(put, range(1, count + 2)))
    return {"large": put(0), "small": small}


def _measured(
    task: str, peer: str | None, given: dict[str, object], options: Options
) -> dict[str, float] | None:
    """Run a task in a process of its own; None if it failed."""
    python = interpreter(options.peers, peer) if peer and options.peers else Path(sys.executable)
    # Without this gcsfs asks a service of Google first, which the emulator is not.
    environment = {**os.environ, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    environment |= {} if peer else {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        command = [python, SCRIPTS / "transfer_task.py", task, folder, json.dumps(given)]
        try:
            done = subprocess.run(
                [str(one) for one in command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    if done.returncode != 0:
        print(done.stderr[-1_000:], file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
