"""MySQL and MariaDB: accounts whose password is set."""
