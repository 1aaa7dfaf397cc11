"""One system fetches one large object and many small ones from a local Cloud Storage; one line."""

import hashlib
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

THREADS = 16


def aletheia(url, bucket, folder):
    from aletheia_like.adapters.gcs import GcsBlobStore
    from aletheia_like.adapters.retrying import RetryingBlobStore
    from aletheia_like.cache import LocalCache
    from aletheia_like.model.digests import Manifest, ManifestEntry

    store = RetryingBlobStore(GcsBlobStore(bucket))

    def get(name, path):
        if path.name == "large":
            store.download(name.rpartition("/")[2], path)
        else:
            get_many([name], path.parent)

    def get_many(names, folder):
        digests = [name.rpartition("/")[2] for name in names]
        files = Manifest.of(ManifestEntry(one, one, 0) for one in digests)
        LocalCache(folder / "cache", store).fetch_tree(files)

    get.many = get_many
    return get


def _client():
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client(project="demo", credentials=AnonymousCredentials())


def google(url, bucket, folder):
    blobs = _client().bucket(bucket)
    return lambda name, path: blobs.blob(name).download_to_filename(path)


def transfer_manager(url, bucket, folder):
    from google.cloud.storage import transfer_manager

    blobs = _client().bucket(bucket)

    def get(name, path):
        if path.name == "large":
            transfer_manager.download_chunks_concurrently(
                blobs.blob(name), path, worker_type="thread", max_workers=4
            )
        else:
            transfer_manager.download_many([(blobs.blob(name), path)], worker_type="thread")

    return get


def gcsfs(url, bucket, folder):
    import gcsfs

    system = gcsfs.GCSFileSystem(token="anon", endpoint_url=url, project="demo")
    return lambda name, path: system.get_file(f"{bucket}/{name}", str(path))


def filecache(url, bucket, folder):
    import fsspec

    system = fsspec.filesystem(
        "filecache",
        target_protocol="gcs",
        target_options={"token": "anon", "endpoint_url": url, "project": "demo"},
        cache_storage=str(folder / "filecache"),
    )
    return lambda name, path: system.open(f"{bucket}/{name}").close()


def obstore(url, bucket, folder):
    import obstore as obs
    from obstore.store import GCSStore

    given = {"skip_signature": True, "base_url": url}
    store = GCSStore(bucket, config=given, client_options={"allow_http": True})

    def get(name, path):
        with path.open("wb") as stream:
            for chunk in obs.get(store, name).stream(min_chunk_size=4 << 20):
                stream.write(chunk)

    return get


def pooch(url, bucket, folder):
    import pooch

    pooch.get_logger().setLevel("ERROR")

    def get(name, path):
        media = f"{url}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
        known = f"sha256:{name.rpartition('/')[2]}"
        pooch.retrieve(media, known_hash=known, fname=path.name, path=path.parent)

    return get


def cloudpathlib(url, bucket, folder):
    from cloudpathlib import GSClient

    client = GSClient(storage_client=_client(), local_cache_dir=folder / "cloudpathlib")
    return lambda name, path: client.GSPath(f"gs://{bucket}/{name}").fspath


def measure(get, names, folder):
    """Return seconds by the clock and by the processor of this process.

    What knows how to get many at once does that; the others are asked by threads.
    """
    begun, worked = time.perf_counter(), time.process_time()
    if len(names) == 1:
        get(names[0], folder / "large")
    elif hasattr(get, "many"):
        get.many(names, folder)
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda name: get(name, folder / name.rpartition("/")[2]), names))
    return time.perf_counter() - begun, time.process_time() - worked


def peak_mib():
    """Return the peak resident memory of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main():
    """Fetch a first small object untimed, for imports and connections, then measure."""
    system, folder, given = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    get = globals()[system](os.environ["STORAGE_EMULATOR_HOST"], given["bucket"], folder)
    get(given["small"][0], folder / "first")
    large_s, large_cpu_s = measure(get, [given["large"]], folder)
    path, digest = folder / "large", given["large"].rpartition("/")[2]
    peak = peak_mib()
    if path.exists():
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
                sys.exit("wrong bytes")
    many_s, many_cpu_s = measure(get, given["small"][1:], folder)
    found = {"large_s": large_s, "large_cpu_s": large_cpu_s, "peak_mb": peak}
    print("\n" + json.dumps(found | {"many_s": many_s, "many_cpu_s": many_cpu_s}))


if __name__ == "__main__":
    main()
