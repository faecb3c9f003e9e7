"""A model server that gives away what it was sent: it echoes path and headers of requests wherever a reply has texts.

Only the answers of the model "echo" hold them. What it says is also full of terminal escapes.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b1m\u202e\r"


class EchoingServer(ThreadingHTTPServer):
    """Answers as any model it is asked for. `asked` is set with the first chat call, which waits until `go_on` is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked, self.go_on = threading.Event(), threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EchoingServer

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""

    def _echo(self) -> str:
        return f"{ESCAPES} I was sent {dict(self.headers)} for {self.path}"

    def do_GET(self) -> None:
        names = ("base", "m", "refused", "judge", "echo")
        listed = [{"id": name, "root": self._echo()} for name in (*names, f"other {self._echo()}")]
        is_list = self.path.endswith("/models")
        self._reply(200, {"data": listed} if is_list else {"version": f"9 {ESCAPES}", "detail": self._echo()})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(sent)
        self.server.asked.set()
        self.server.go_on.wait(60)
        if body.get("model") == "refused":
            # Escaped twice: the headers are JSON in a text of JSON.
            escaped = "".join(f"\\u{ord(letter):04x}" for letter in self._echo() + sent.decode())
            self._reply(401, {"error": {"message": f"{'x' * 960} invalid key. {escaped}"}})
            return
        text = "My final verdict is [[A>B]]" if body.get("model") == "judge" else f"{ESCAPES} an answer"
        message = {"role": "assistant", "content": text, "reasoning_content": "why not"}
        if body.get("model") == "echo":
            message = {"role": "assistant", "content": self._echo(), "reasoning_content": sent.decode()}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._reply(200, {"choices": [choice], "system_fingerprint": self._echo()[-80:], "usage": self._echo()})

    def _reply(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def echoing_server(certificate: Path | None = None) -> Iterator[tuple[EchoingServer, str]]:
    """The server and its base URL; with a certificate (its key in the same file) it speaks TLS."""
    server = EchoingServer()
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    scheme = "http" if certificate is None else "https"
    try:
        yield server, f"{scheme}://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
