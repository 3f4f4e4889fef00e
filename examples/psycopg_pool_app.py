"""A web service over a pool of psycopg: `GET /` answers as whom it is logged in. No login fails when that is rotated.

ORDERS_DB_SECRET=https://kv-orders-prod.vault.azure.net/secrets/orders-db PORT=8080 python examples/psycopg_pool_app.py
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from psycopg_pool import ConnectionPool

from keyturn import RotatingSecret
from keyturn.psycopg import connection_class

orders_db = RotatingSecret(os.environ["ORDERS_DB_SECRET"])
pool = ConnectionPool(
    connection_class=connection_class(orders_db), min_size=1, max_size=8, max_lifetime=600, open=False
)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """The role that the database sees."""
        with pool.connection() as connection:
            row = connection.execute("SELECT current_user").fetchone()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(row and row[0]).encode())


if __name__ == "__main__":
    _ = orders_db.value  # a secret that can't be read is one clear line now, and no row of retries
    with pool, ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler) as server:
        server.serve_forever()
