"""How Keyturn is deployed. Not part of the app: nothing of it is packaged."""
