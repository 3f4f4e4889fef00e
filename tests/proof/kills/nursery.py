"""A process that has imported what the stack's children import, and forks one of them when asked.

A child is a process of its own that begins at its `main`, with an environment, a log and a memory of its own, and a
SIGKILL ends it as it ends any other. Only the import of libraries, which took most of the time of a start, is spared.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn, Self

from local.children import ROOT

# What the children import, but for the worker library and the app's own module, which read their settings at import.
IMPORTED = (
    *("local.host.__main__", "local.host.protos", "local.vault.__main__", "local.azure.__main__"),
    *("azure.functions", "azure.identity.aio", "azure.keyvault.secrets.aio", "azure.storage.blob.aio"),
    *("app.wiring", "handlers.http", "handlers.sweep", "handlers.rotate", "psycopg"),
)
LONGEST_ORDER = 262_144  # bytes


class Forked:
    """A child of the nursery, with what `local.children` asks of a `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid = pid
        self.stdin = stdin
        self._descriptor = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs. Its exit code is the nursery's to know: any end is told as -9."""
        if self._descriptor >= 0 and not select.select([self._descriptor], [], [], 0)[0]:
            return None
        self._forget()
        return -signal.SIGKILL

    def wait(self, timeout: float) -> int:
        """Raises `subprocess.TimeoutExpired`."""
        if self._descriptor >= 0 and not select.select([self._descriptor], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        self._forget()
        return -signal.SIGKILL

    def send_signal(self, how: signal.Signals) -> None:
        if self._descriptor >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _forget(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Nursery:
    """Orders go over a socket: the command and the environment as JSON, and the descriptors that the child gets."""

    def __init__(self, ca: Path) -> None:
        """ca: whom the children trust; aiohttp makes its own context of it when it is imported."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, LONGEST_ORDER)
        self._orders = ours
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "SSL_CERT_FILE": str(ca)}, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def __call__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: IO[bytes],
        pass_fds: Sequence[int],
        **_: Any,  # standard input is a pipe, the session new, and the folder the app's, as the stack has it
    ) -> Forked:
        """In the place of `subprocess.Popen`, for `[python, "-m", MODULE, …]`."""
        theirs, ours = os.pipe()
        order = {"module": command[2], "options": command[3:], "environment": dict(env), "kept": list(pass_fds)}
        socket.send_fds(self._orders, [json.dumps(order).encode()], [theirs, stdout.fileno(), *pass_fds])
        os.close(theirs)
        return Forked(int(self._orders.recv(64)), os.fdopen(ours, "wb", buffering=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orders.close()  # its end
        self._process.wait()


def serve(orders: socket.socket) -> None:
    """Fork until the other end is closed."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    alive: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(orders, LONGEST_ORDER, 16)
        # Waited for late, but waited for: so their time is counted.
        alive -= {pid for pid in alive if os.waitpid(pid, os.WNOHANG if message else 0)[0]}
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            orders.close()
            _begin(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        alive.add(pid)
        orders.send(str(pid).encode())


def _begin(order: Mapping[str, Any], descriptors: Sequence[int]) -> NoReturn:
    """Be what was ordered, as if just started."""
    code: int | None = 1
    try:
        os.setsid()
        stdin, log, *kept = descriptors
        for descriptor, place in ((stdin, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, place)
        os.close(stdin)
        os.close(log)
        for descriptor in kept:
            os.set_inheritable(descriptor, False)
        os.environ.clear()
        os.environ.update(order["environment"])
        time.tzset()
        sys.argv = [str(ROOT / order["module"].replace(".", "/") / "__main__.py"), *order["options"]]
        code = importlib.import_module(f"{order['module']}.__main__").main()
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else 1
    except BaseException:  # noqa: BLE001  as an interpreter does at its top
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
