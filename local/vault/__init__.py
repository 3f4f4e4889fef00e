"""A Key Vault stand-in that an unmodified azure-keyvault-secrets client accepts, over TLS on loopback.

    python -m local.vault --vault kv-demo=0 --data DIR --cert cert.pem --key key.pem \
        --signing-key signing.key --ready-file ready.json

One process serves any number of vaults, each on its own port, and the App Service managed-identity endpoint. State is
kept in DIR (SQLite, committed before a call is answered), so SIGKILL loses nothing that was answered. A port of 0
means a free one, the same as last time where that is still free: a vault that is killed and started again keeps its
URLs, its identity endpoint and its keys. When it serves it prints one line and writes the ready file (mode 0600):

    {"pid": 4711,
     "vaults": {"kv-demo": "https://localhost:PORT"},
     "env": {"IDENTITY_ENDPOINT": "http://127.0.0.1:PORT/msi/token", "IDENTITY_HEADER": "..."},
     "control": {"url": "http://127.0.0.1:PORT/control", "key": "..."}}

In a test, `LocalVaults` does the same in-process:

    async with LocalVaults({"kv-demo": 0}, data=tmp_path, cert=CERT, key=KEY, authority=TokenAuthority(KEY_BYTES)) as v:
        v.urls["kv-demo"]; v.env; v.faults.add(Fault(Kind.STATUS, status=503, times=2)); v.calls.records()

The app's identity (`local.identity.APP_CLIENT_ID`) may do what the file of `--rights` grants it (`local.rights`); all
others may do everything, which a control call can change.

Control calls: plain HTTP, JSON, header `X-Control-Key`. `vault` and `oid` may be left out: then all are meant.

    POST   /control/faults          a fault, see `local.vault.faults.Fault`; answers {"id": N}
    GET    /control/faults          what is set, and how often each has struck
    DELETE /control/faults          all of them
    POST   /control/limits          {"enabled": true, "creates": 300, "others": 4000, "window_s": 10,
                                     "retry_after": true}: whether a 429 says when to come back
    POST   /control/rights          {"deny": ["get", "set", "list"], "vault": "kv-demo", "oid": "..."}
    DELETE /control/rights          everybody may do everything again
    POST   /control/clock           {"shift_s": 86400}: forward only, kept over restarts; answers {"now", "offset_s"}
    GET    /control/clock
    POST   /control/settling        {"seconds": 2}: how long deleting, recovering, purging and restoring take
    GET    /control/calls           every call so far; ?vault= ?operation= ?name= ?status=
    DELETE /control/calls
    GET    /control/events          every event raised, and whether it was delivered
    POST   /control/events/replay   {"ids": [...]} or {"name": "...", "type": "..."}: delivers them again; {} means all
    POST   /control/event-endpoint  {"url": "http://127.0.0.1:7071/runtime/webhooks/eventgrid?functionName=near_expiry"}

Operations, as in faults and calls: set, get, list, versions, update, delete, recover, purge, get-deleted,
list-deleted, backup, restore. Rights: get, list, set, delete, recover, purge, backup, restore.
"""

from local.vault.server import LocalVaults

__all__ = ["LocalVaults"]
