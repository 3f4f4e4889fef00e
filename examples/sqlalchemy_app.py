"""A web service over SQLAlchemy: `GET /` answers as whom it is logged in. No login fails when that is rotated.

ORDERS_DB_SECRET=https://kv-orders-prod.vault.azure.net/secrets/orders-db PORT=8080 python examples/sqlalchemy_app.py
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sqlalchemy import create_engine, text

from keyturn import RotatingSecret
from keyturn.sqlalchemy import log_in_with

orders_db = RotatingSecret(os.environ["ORDERS_DB_SECRET"])
engine = create_engine("postgresql+psycopg://", pool_size=8, pool_recycle=600)
log_in_with(engine, orders_db)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """The role that the database sees."""
        with engine.connect() as connection:
            user = connection.execute(text("SELECT current_user")).scalar_one()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(user).encode())


if __name__ == "__main__":
    _ = orders_db.value  # a secret that can't be read is one clear line now, and no row of retries
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler) as server:
        server.serve_forever()
