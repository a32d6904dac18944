"""A receiver of notifications over https, in a thread of its own."""

import json
import ssl
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Subscriber:
    """Keeps what it is sent; answers `statuses` one by one, then 200."""

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        self.received: list[Row] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: deque[int] = deque()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(certificate_file, key_file)
        self._server.socket = trust.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/apple/notifications"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def of(self, kind: str) -> list[Row]:
        return [row for row in list(self.received) if row["notificationType"] == kind]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                subscriber.headers.append({name.lower(): value for name, value in self.headers.items()})
                subscriber.received.append(json.loads(body))
                self.send_response(subscriber.statuses.popleft() if subscriber.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
