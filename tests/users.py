"""Other users of this machine, for tests that run as root."""

from __future__ import annotations

import json
import os


def as_user(user, action):
    """Do something in a process of another user, with a strict umask; return what it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = ["failed"]
        try:
            os.setgroups([])
            os.setgid(60_000)
            os.setuid(user)
            os.umask(0o077)
            told = action()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            told = [f"{type(error).__name__}: {error}"]
        finally:
            os.write(writing, json.dumps(told).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = json.load(stream)
    os.waitpid(child, 0)
    return told
