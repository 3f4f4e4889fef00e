"""`make bench`: all figures, as a table; ends with 1 where one is above its bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench import counted_host, indexing, outside
from bench.figures import Figure, show
from bench.owner import VAULTS
from local.children import ROOT
from local.stack import Stack


def main() -> int:
    """0: every bound holds. 1: one does not."""
    figures = indexing.run()
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as data:
        figures += _stack(Path(data))
    figures.sort(key=lambda one: one.name)
    show(figures)
    return 0 if all(one.holds for one in figures) else 1


def _stack(data: Path) -> list[Figure]:
    ledger_calls = data / "ledger-calls"
    settings = {counted_host.CALLS_FILE: str(ledger_calls)}
    with Stack(data, vaults=VAULTS, settings=settings, popen=counted_host.popen) as stack:
        # The vault's own events would rotate what is measured, at moments that nobody chose.
        stack.vault_control.post("event-endpoint", {"url": None})
        return [*outside.run(stack, ledger_calls), *_inside(stack)]


def _inside(stack: Stack) -> list[Figure]:
    """In a process of its own, whose libraries read the stack's certificate when they are imported."""
    control = stack.vault_control
    with urllib.request.urlopen(f"{stack.ready['functions']}/admin/queues") as answer:  # noqa: S310  our own child
        queue = json.load(answer)["service"]  # reminders of changes in place go there
    settings = {
        "ROTATION_VAULTS": ",".join(f"{name}={url}" for name, url in stack.ready["vaults"].items()),
        "ROTATION_POLICY": str(ROOT / "local" / "policy.toml"),
        "ROTATION_LEDGER": f"file:{stack.data / 'bench-ledger'}",
        "ROTATION_HTTP_AUTH": "key",
        "AzureWebJobsStorage__queueServiceUri": queue,
        "BENCH_STACK": json.dumps(stack.ready),
        "BENCH_CONTROL": json.dumps({"url": control.url, "key": control.key, "ca": str(control.ca)}),
        "BENCH_SERVER_LOG": str(stack.postgres.log_path),
    }
    environment = dict(os.environ) | stack.ready["env"] | settings
    command = [sys.executable, "-m", "bench.inside"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(1)
    return [Figure(**one) for one in json.loads(done.stdout)]


if __name__ == "__main__":
    sys.exit(main())
