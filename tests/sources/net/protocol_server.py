"""A local server that answers as providers do, remembers each byte that it was sent, and can misbehave on order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    line: str

    @property
    def everything(self) -> str:
        """All that was sent, as text."""
        return "\n".join(
            [self.line, *(f"{k}: {v}" for k, v in self.headers.items()), self.body.decode("utf-8", "replace")]
        )

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer; `body` may be JSON-able, bytes or text. Not `announced`: it ends where the connection ends."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    announced: bool = True

    def content(self) -> bytes:
        """Bytes of the body."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        self.headers.setdefault("Content-Type", "application/json")
        return json.dumps(self.body).encode()


@dataclass
class Fault:
    """A misbehaviour for the next `times` requests whose path contains `path`.

    Parameters
    ----------
    reply : Reply, optional
        Sent instead of the true answer.
    cut_after : int, optional
        The connection is cut after so many bytes of the true body.
    pause_s : float, optional
        Each byte of the true body waits so long.
    corrupt : slice, optional
        These bytes of the true body are turned over.
    """

    path: str = ""
    times: int = 1
    skip: int = 0
    reply: Reply | None = None
    cut_after: int | None = None
    pause_s: float | None = None
    corrupt: slice | None = None


Handler = Callable[[Received], Reply]


def file_reply(request: Received, content: bytes, etag: str = '"v1"', kind: str = "image/tiff") -> Reply:
    """A file, or the part of it that is asked for (RFC 9110, 14)."""
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": kind}
    asked = request.headers.get("range")
    if not asked or request.headers.get("if-range", etag) != etag:
        return Reply(content, 200, headers)
    first_text, _, last_text = asked.removeprefix("bytes=").partition("-")
    first, last = int(first_text), min(int(last_text or len(content) - 1), len(content) - 1)
    if first >= len(content):
        return Reply(b"", 416, {"Content-Range": f"bytes */{len(content)}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return Reply(content[first : last + 1], 206, headers)


class _Quiet(ThreadingHTTPServer):
    """Clients that hang up in the middle are part of the tests."""

    def handle_error(self, *_: Any) -> None:
        pass


class ProtocolServer:
    """Routes by the longest prefix of the path; unknown ones are 404."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.faults: list[Fault] = []
        self._routes: dict[str, Handler] = {}
        self._lock = threading.Lock()
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            do_POST = do_HEAD = do_PUT = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def route(self, prefix: str, handler: Handler | Mapping[str, Any] | list[Any]) -> None:
        """Answer paths that begin so; a mapping or list is sent as JSON."""
        self._routes[prefix] = handler if callable(handler) else lambda _request: Reply(handler)

    def fault(self, path: str = "", **what: Any) -> None:
        """Misbehave; see :class:`Fault`."""
        self.faults.append(Fault(path, **what))

    def asked(self, path: str = "") -> list[Received]:
        """Requests whose path contains a text."""
        with self._lock:
            return [request for request in self.received if path in request.path]

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        size = int(handler.headers.get("Content-Length") or 0)
        request = Received(
            handler.command, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)),
            {k.lower(): v for k, v in handler.headers.items()}, handler.rfile.read(size) if size else b"",
            f"{handler.command} {handler.path}",
        )  # fmt: skip
        with self._lock:
            self.received.append(request)
            fault = self._fault_for(request)
        prefix = max((p for p in self._routes if parts.path.startswith(p)), key=len, default=None)
        try:
            reply = self._routes[prefix](request) if prefix is not None else Reply({"error": "no such path"}, 404)
        except Exception as error:  # a fault of the test itself must show, not hang
            reply = Reply({"error": repr(error)}, 599)
        if fault and fault.reply:
            reply = fault.reply
        try:
            self._send(handler, reply, fault)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def _fault_for(self, request: Received) -> Fault | None:
        for fault in self.faults:
            if fault.path in request.path and fault.times > 0:
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply, fault: Fault | None) -> None:
        content = bytearray(reply.content())
        if fault and fault.corrupt is not None:
            content[fault.corrupt] = bytes(255 - b for b in content[fault.corrupt])
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.announced:
            handler.send_header("Content-Length", str(len(content)))
        else:
            handler.send_header("Connection", "close")
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if fault and fault.cut_after is not None:
            handler.wfile.write(bytes(content[: fault.cut_after]))
            handler.wfile.flush()
            handler.close_connection = True
            return
        if fault and fault.pause_s is not None:
            for byte in content:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(fault.pause_s)
            return
        handler.wfile.write(bytes(content))
