"""`python -m local.host --app DIR`: the host as a process of its own. Its environment is the app's settings."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import os
import secrets
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from local.host.keys import Keys
from local.host.pump import LAST_S, QueueOptions, pump_queue, pump_timer, seconds_of
from local.host.queue import Queues
from local.host.storage import ACCOUNT, queue_service
from local.host.web import PARSED, Site, listed
from local.host.worker import IndexingError, Worker
from local.process import stop_asked, write_ready_file
from local.tokens import TokenAuthority


def main() -> int:
    """0 after an orderly stop; 1, with one line, where the app does not start."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path.cwd(), help="the folder of function_app.py")
    parser.add_argument("--port", type=int, default=7071, help="0: a free one")
    parser.add_argument("--data", type=Path, default=Path(".cache/host"), help="where the queue stands")
    parser.add_argument("--ready-file", type=Path, help="written once the host serves")
    parser.add_argument(
        "--function-key-file", type=Path, help="holds the key that opens every function; else a new one"
    )
    parser.add_argument("--cert", type=Path, help="PEM; with it and --key the queue service is served, over TLS")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--signing-key", type=Path, help="checks the queue service's tokens")
    parser.add_argument("--with-stdin", action="store_true", help="stop at the end of standard input too")
    parser.add_argument("--list", action="store_true", help="print functions and bindings as JSON, and stop")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)-7s %(name)s  %(message)s"
    )
    for noisy in ("azure", "aiohttp.access", "azure_functions_runtime"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        return asyncio.run(_serve(options))
    except IndexingError as error:
        print(f"host: the app does not start: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"host: {error}", file=sys.stderr)
        return 1


async def _serve(options: argparse.Namespace) -> int:
    if options.list:
        worker = Worker(lambda _queue, _bodies: None)  # nothing is invoked
        await _index(worker, options.app.resolve())
        print(json.dumps(listed(worker), indent=1))
        return 0
    queues = Queues(options.data / "queues.sqlite")
    worker = Worker(queues.put)
    runners = []
    if options.cert and options.key and options.signing_key:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.cert, options.key)
        authority = TokenAuthority.from_file(options.signing_key)
        runner = await _site(queue_service(queues, authority), 0, tls)
        runners.append(runner)
        # Before the app is indexed: it reads its settings then.
        os.environ["AzureWebJobsStorage__queueServiceUri"] = f"https://localhost:{runner.addresses[0][1]}/{ACCOUNT}"  # noqa: SIM112  its name
    await _index(worker, options.app.resolve())
    host = overridden(json.loads((options.app / "host.json").read_text(encoding="utf-8")), os.environ)
    keys = Keys(options.function_key_file.read_text() if options.function_key_file else secrets.token_urlsafe(32))
    if "functionTimeout" in host:
        worker.limit_s = seconds_of(host["functionTimeout"])
    prefix = host.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    runner = await _site(Site(worker, queues, keys, prefix).app(), options.port, None)
    runners.append(runner)
    port = runner.addresses[0][1]

    pumps = []
    for function in worker.functions.values():
        if function.trigger["type"] == "queueTrigger":
            pumps.append(asyncio.create_task(pump_queue(worker, queues, function, QueueOptions.of(host))))
        if function.trigger["type"] == "timerTrigger":
            pumps.append(asyncio.create_task(pump_timer(worker, function)))
    stop = stop_asked(with_stdin=options.with_stdin)
    told = {"function_key": keys.function, "master_key": keys.master, "system_key": keys.system}
    ready = {"url": f"http://127.0.0.1:{port}", "pid": os.getpid(), **told}
    if options.ready_file:
        write_ready_file(options.ready_file, ready)
    print(f"host: serving {len(worker.functions)} functions at {ready['url']}", flush=True)
    await stop.wait()
    for pump in pumps:
        pump.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)
    for runner in runners:
        await runner.cleanup()
    queues.close()
    return 0


async def _index(worker: Worker, app: Path) -> None:
    """What an app that does not start says on standard error is the worker's; the host tells it in its own line.

    Raises:
        IndexingError: it does not start.
    """
    with contextlib.redirect_stderr(io.StringIO()) as said:
        await worker.index(app)
    sys.stderr.write(said.getvalue())


def overridden(host: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """host.json with what app settings say in its place, as `AzureFunctionsJobHost__extensions__queues__batchSize`.

    Source: Microsoft Learn, "host.json reference for Azure Functions", section "Override host.json values".
    """
    for name, value in environment.items():
        prefix, *path = name.split("__")
        if prefix != "AzureFunctionsJobHost" or not path:
            continue
        place = host
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
    return host


async def _site(app: web.Application, port: int, tls: ssl.SSLContext | None) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LAST_S, max_line_size=PARSED, max_field_size=PARSED)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    return runner


if __name__ == "__main__":
    sys.exit(main())
