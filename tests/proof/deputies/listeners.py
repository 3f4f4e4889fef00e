"""Who would hear of a connection: servers that wait at every place that a trial points to, and Python's audit hook.

Both are needed. libpq connects in C, where the hook sees nothing; a name that has no address reaches no server.
"""

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEARD = frozenset({"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"})
_LENGTH = 4  # of the number that each message of PostgreSQL's protocol begins with
_REFUSAL = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0"
ABSTRACT = f"keyturn-deputies-{os.getpid()}"  # one name space for the whole machine


@dataclass
class Heard:
    """What Python itself did, since the last look. A hook can't be taken away: one for a whole process."""

    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in _HEARD:
            self.events.append(f"{event} {arguments[-1] if event != 'socket.getaddrinfo' else arguments[:2]}")

    def take(self) -> list[str]:
        taken, self.events[:] = list(self.events), []
        return taken


class Canaries:
    """Listen and answer nothing. What the kernel has accepted for them is counted, so that no thread is waited for."""

    def __init__(self, permitted_port: int, folder: Path) -> None:
        first = _listening(socket.AF_INET, ("0.0.0.0", 0))  # noqa: S104  every address of this machine is elsewhere
        self.port = int(first.getsockname()[1])
        self._listening = [first, _listening(socket.AF_INET, ("127.0.0.2", permitted_port))]
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._listening.append(_listening(socket.AF_INET6, ("::", self.port)))
        self.folder = str(folder)
        for path in (f"{folder}/.s.PGSQL.5432", f"{folder}/.s.PGSQL.{self.port}", f"\0{ABSTRACT}/.s.PGSQL.5432"):
            self._listening.append(_listening(socket.AF_UNIX, path))

    def take(self) -> int:
        """Connections since the last look."""
        count = 0
        for server in self._listening:
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
                    count += 1
        return count

    def close(self) -> None:
        for server in self._listening:
            server.close()


class Permitted:
    """The one server that the policy names: it refuses each password, in PostgreSQL's words."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def take(self) -> int:
        taken, self.connections = self.connections, 0
        return taken

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections += 1
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(0.2)  # a client of MySQL says nothing before it is greeted
                    with contextlib.suppress(TimeoutError):
                        connection.recv(4096)  # the startup message; of others the answer is no protocol either
                    connection.sendall(b"E" + (len(_REFUSAL) + _LENGTH).to_bytes(_LENGTH, "big") + _REFUSAL)


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[tuple[Permitted, Canaries]]:
    """Both, for a while."""
    permitted = Permitted()
    canaries = Canaries(permitted.port, folder)
    try:
        yield permitted, canaries
    finally:
        permitted.close()
        canaries.close()


def _listening(family: int, address: tuple[str, int] | str) -> socket.socket:
    server = socket.socket(family)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(address)
    server.listen(64)
    server.setblocking(False)
    return server
