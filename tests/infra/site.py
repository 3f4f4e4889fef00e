"""A stand-in for the deployed app and its deployment endpoint: takes packages, tells its health, plans rotations.

It shares `cloud.json` with the stand-in for az: a package that was taken is there for both.
"""

import json
import ssl
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from local.certificates import Certificates

NOT_FOUND = -404
OPERATOR = ("Bearer token-for-api://", "the-function-key")


class Site(BaseHTTPRequestHandler):
    """Answers by what stands in the cloud's file; `home` is set by `served`."""

    home: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        cloud = self.cloud()
        number = package_of(cloud)
        if self.path == "/api/health":
            if number is None or cloud.get("sick"):
                self.answer(503, {})
            else:
                self.answer(200, {"status": "ok", "vaults": 1, "package": number})
        elif self.path.startswith("/api/deployments/"):
            self.deployment(cloud)
        elif self.path.startswith("/api/vaults/"):
            who = "to_forgers" if "X-MS-CLIENT-PRINCIPAL" in self.headers else "to_strangers"
            closed = {"detail": "HTTP calls are refused"} if cloud.get("http_closed") else {}
            self.answer(503 if closed else cloud.get(who, 401), closed)
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        cloud = self.cloud()
        if self.path.startswith("/api/publish?"):
            self.publish(cloud, body)
        elif self.path.endswith("/secrets/orders-db/rotate?dry_run=true"):
            given = self.headers.get("Authorization") or self.headers.get("x-functions-key") or ""
            if given.startswith(OPERATOR):
                self.answer(200, {"outcome": cloud.get("plan", "planned")})
            else:
                self.answer(403, {})
        else:
            self.answer(404, {"outcome": "failed", "detail": "no such secret"})

    def deployment(self, cloud: dict[str, Any]) -> None:
        """`kudu`: what it tells, one after another; -404 for "not found"."""
        told = cloud.get("kudu", [4])
        cloud["kudu"] = told[1:] or told
        self.save(cloud)
        if told[0] == NOT_FOUND:
            self.answer(404, "Deployment deployment-1 not found.")
        else:
            self.answer(200, {"status": told[0], "status_text": "as asked"})

    def publish(self, cloud: dict[str, Any], body: bytes) -> None:
        if self.headers["Authorization"] != "Bearer token-for-arm" or "RemoteBuild=false" not in self.path:
            self.answer(401, {})
            return
        refusals = cloud.get("refuse_packages", [])
        if refusals:
            cloud["refuse_packages"] = refusals[1:]
            self.save(cloud)
            self.answer(refusals[0], {"message": "refused"})
            return
        kept = self.home / f"package-{len(list(self.home.glob('package-*')))}.zip"
        kept.write_bytes(body)
        cloud["package"] = str(kept)
        cloud["looks_until_listed"] = 2
        self.save(cloud)
        self.answer(202, "deployment-1")

    def cloud(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "cloud.json").read_text())
        return found

    def save(self, cloud: dict[str, Any]) -> None:
        (self.home / "cloud.json").write_text(json.dumps(cloud))

    def answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Silence: tests look at answers."""


def package_of(cloud: dict[str, Any]) -> str | None:
    if "package" not in cloud:
        return None
    with zipfile.ZipFile(cloud["package"]) as opened:
        return opened.read("package.txt").decode().strip()


@contextmanager
def served(home: Path, certificates: Certificates) -> Iterator[str]:
    """-> HOST:PORT."""
    handler = type("OurSite", (Site,), {"home": home})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
