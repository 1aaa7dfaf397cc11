"""An HTTP server between a client and a real one, that spoils what a test tells it to."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections import deque

HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


class Faulty:
    """Passes requests on to a server; the faults of `plan` spoil one request each, in order.

    A fault is a status to answer with, `cut` (half of the body, then nothing), `flip` (one bit of
    the body), `flip-sent` (one bit of what the client sends), `drop` (the connection is closed
    when half of the request has come), or None. It meets only requests of which
    `concerns(method, path)` is true.
    """

    def __init__(self, server: str) -> None:
        self.target = server.removeprefix("http://")
        self.plan: deque = deque()
        self.storm: object = None
        self.concerns = lambda method, path: True
        self.seen: list[tuple[str, str, dict]] = []
        self._lock = threading.Lock()

    def next_fault(self, method, path):
        if not self.concerns(method, path):
            return None
        with self._lock:
            return self.plan.popleft() if self.plan else self.storm

    def __enter__(self):
        faulty = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                faulty.pass_on(self)

            def log_message(self, *arguments):
                pass

        for method in ("PUT", "POST", "DELETE", "HEAD", "PATCH"):
            setattr(Handler, f"do_{method}", Handler.do_GET)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def pass_on(self, request):
        fault = self.next_fault(request.command, request.path)
        with self._lock:
            self.seen.append((request.command, request.path, dict(request.headers)))
        size = int(request.headers.get("Content-Length") or 0)
        if fault == "drop":
            request.rfile.read(size // 2)
            request.close_connection = True
            return
        body = request.rfile.read(size)
        if fault == "flip-sent" and body:
            body = flipped(body)
        if isinstance(fault, int):
            answer = b'{"error": {"message": "by the test"}}'
            self.answer(request, fault, {"Content-Type": "application/json"}, answer)
            return
        status, headers, data = self.ask(request, body)
        if fault == "flip" and data:
            data = flipped(data)
        self.answer(request, status, headers, data, cut=fault == "cut")

    def ask(self, request, body):
        there = http.client.HTTPConnection(self.target, timeout=30)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP}
        there.request(request.command, request.path, body=body, headers=headers)
        response = there.getresponse()
        data = response.read()
        kept = {key: value for key, value in response.getheaders() if key.lower() not in HOP}
        there.close()
        if request.command == "HEAD":
            kept["X-Size"] = response.getheader("Content-Length") or "0"
        if "Location" in kept:
            kept["Location"] = self.url + "/" + kept["Location"].split("//")[1].split("/", 1)[1]
        return response.status, kept, data

    def answer(self, request, status, headers, data, *, cut=False):
        request.send_response(status)
        for key, value in headers.items():
            request.send_header(key, value)
        size = headers.get("X-Size") if request.command == "HEAD" else None
        request.send_header("Content-Length", size or str(len(data)))
        request.end_headers()
        if request.command == "HEAD":
            return
        request.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            request.close_connection = True
