"""Everything that the app needs on one machine, with Microsoft's host in the place of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.azurite import LocalAzurite
from local.certificates import ensure
from local.children import ROOT
from local.identity import APP_CLIENT_ID
from local.stack import Stack
from tests.real_host.host import RealHost, app_folder


class RealStack(Stack):
    """As `Stack`; `host` is the real one, and the queue stands in Azurite.

    The storage is reached as a deployment reaches it: by the app's managed identity, over TLS.
    """

    def __init__(
        self, data: Path, executable: Path, *, host_json: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """host_json: in place of what the app's says. options: of `Stack`."""
        super().__init__(data, **options)
        self._executable = executable
        self._host_json = dict(host_json or {})
        self.azurite: LocalAzurite | None = None
        self.host: RealHost

    def _app(self, settings: Mapping[str, str], served: tuple[str, ...]) -> tuple[str, str, str, int]:
        if self.azurite is None:
            self.azurite = LocalAzurite(self.data / "azurite", ensure(self.data / "tls"), whole=True)
            self.azurite.start()
        place = app_folder(ROOT, self.data / "app", **self._host_json)
        storage = {
            f"AzureWebJobsStorage__{name}ServiceUri": self.azurite.service(name) for name in ("blob", "queue", "table")
        }
        identity = {
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": APP_CLIENT_ID,
        }
        self.host = RealHost(
            self._executable, place, self.data / "host", {**self._inherited, **settings, **storage, **identity}
        )
        self.host.start()
        keys = self.host.keys
        return self.host.url, keys.function, keys.system, self.host.pid

    def stop(self) -> None:
        host = getattr(self, "host", None)
        if host is not None:
            host.stop()
        if self.azurite is not None:
            self.azurite.stop()
        super().stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
