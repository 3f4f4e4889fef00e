"""Databases: logins whose password is set, over what a `Database` does in its own way."""
