"""`aletheia emulator`: whatever happens, the command's fate is told and the servers are gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from aletheia_like.testing.emulators import answering

pytestmark = pytest.mark.usefixtures("firestore_emulator", "gcs_emulator")
NAMES = ("FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
UNAVAILABLE = 7


def aletheia(*arguments, emulators=False, **changed):
    """Start the command, with or without the servers that the tests run."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **changed}
    for name in () if emulators else NAMES:
        environment.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "aletheia_like", "emulator", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process):
    told, said = process.communicate(timeout=60)
    return process.returncode, told, said


def variables(lines):
    return dict(line.removeprefix("export ").split("=", 1) for line in lines)


def python(code):
    return [sys.executable, "-c", f"import os, signal, sys, time; {code}"]


@pytest.mark.parametrize("status", [0, 1, 7, 42])
def test_exec_passes_the_exit_code_on(status):
    code, *_ = ended(aletheia("exec", "--", *python(f"sys.exit({status})"), emulators=True))

    assert code == status


def test_exec_runs_servers_for_its_command_only():
    show = "print(os.environ['FIRESTORE_EMULATOR_HOST'], os.environ['STORAGE_EMULATOR_HOST'])"

    code, told, _ = ended(aletheia("exec", "--", *python(show)))

    hosts = dict(zip(NAMES, told.split(), strict=True))
    assert code == 0
    assert len(hosts) == 2
    assert not any(answering({name: host}) for name, host in hosts.items())


def test_exec_passes_options_to_the_command():
    show = "print(sys.argv[1:])"

    _, told, _ = ended(aletheia("exec", *python(show), "-n", "--json", emulators=True))

    assert told.strip() == "['-n', '--json']"


def test_exec_tells_by_which_signal_the_command_ended():
    code, *_ = ended(
        aletheia("exec", "--", *python("os.kill(os.getpid(), signal.SIGKILL)"), emulators=True)
    )

    assert code == 128 + signal.SIGKILL


def test_exec_of_what_does_not_exist():
    code, _, said = ended(aletheia("exec", "--", "no-such-command", emulators=True))

    assert code == 127
    assert "no-such-command" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_exec_passes_signals_on(number):
    wait = (
        f"signal.signal({int(number)}, lambda *_: sys.exit(5)); print('ready', flush=True);"
        "time.sleep(60)"
    )
    process = aletheia("exec", "--", *python(wait))
    assert process.stdout.readline() == "ready\n"
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(number)

    assert ended(process)[0] == 5
    assert psutil.wait_procs(children, timeout=15)[1] == []


def test_exec_that_is_killed_leaves_no_server():
    process = aletheia("exec", "--", *python("print(os.getpid(), flush=True); time.sleep(60)"))
    command = int(process.stdout.readline())
    children = psutil.Process(process.pid).children(recursive=True)
    servers = [one for one in children if one.pid != command]

    process.kill()
    process.wait(30)

    assert len(servers) >= 2
    assert psutil.wait_procs(servers, timeout=15)[1] == []
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(command).kill()


def test_a_signal_while_the_servers_start_leaves_none():
    process = aletheia("exec", "--", *python("print('ran')"))
    until = time.monotonic() + 30
    while not psutil.Process(process.pid).children() and time.monotonic() < until:
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGTERM)

    code, told, _ = ended(process)
    assert (code, told) == (128 + signal.SIGTERM, "")
    assert psutil.wait_procs(children, timeout=15)[1] == []


def test_start_can_be_found_from_another_terminal():
    process = aletheia("start")
    lines = [process.stdout.readline().strip() for _ in range(4)]

    found = ended(aletheia("env"))
    as_json = ended(aletheia("env", "--json"))
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 0
    assert found[0] == 0
    assert variables(found[1].splitlines()) == variables(lines) == json.loads(as_json[1])
    assert ended(aletheia("env"))[0] == UNAVAILABLE


def test_env_prints_this_shells_servers(firestore_emulator):
    code, told, _ = ended(aletheia("env", emulators=True))

    assert code == 0
    assert variables(told.splitlines())["FIRESTORE_EMULATOR_HOST"] == firestore_emulator


def test_env_without_servers_says_what_to_type():
    code, told, said = ended(aletheia("env"))

    assert (code, told) == (UNAVAILABLE, "")
    assert "aletheia emulator start" in said


def test_env_does_not_believe_a_dead_server():
    code, _, said = ended(aletheia("env", FIRESTORE_EMULATOR_HOST="127.0.0.1:1", emulators=True))

    assert code == UNAVAILABLE
    assert "127.0.0.1:1" in said


def test_install_shows_what_is_there_already():
    code, told, _ = ended(aletheia("install"))

    assert code == 0
    assert told.strip().endswith(".jar")
