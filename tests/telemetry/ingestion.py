"""Where Application Insights' ingestion would be: takes what the exporter sends, over HTTP on this machine."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "11111111-2222-3333-4444-555555555555"


class Ingestion:
    """`envelopes`: telemetry as it arrived, each as Azure Monitor's Track call describes it."""

    def __init__(self, url: str) -> None:
        self.envelopes: list[dict[str, Any]] = []
        self.connection_string = f"InstrumentationKey={KEY};IngestionEndpoint={url};LiveEndpoint={url}"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of one kind: "RemoteDependencyData", "MetricData" or "MessageData"."""
        return [one["data"]["baseData"] for one in list(self.envelopes) if one["data"]["baseType"] == kind]


@contextmanager
def ingesting() -> Iterator[Ingestion]:
    """A server for a while."""
    taken: list[Ingestion] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            text = (gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body).decode()
            told: list[dict[str, Any]] = []
            if self.path.endswith("/track"):
                told = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
                taken[0].envelopes += told
            answer = json.dumps({"itemsReceived": len(told), "itemsAccepted": len(told), "errors": []}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.append(Ingestion(f"http://127.0.0.1:{server.server_address[1]}"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield taken[0]
    finally:
        server.shutdown()
        server.server_close()
