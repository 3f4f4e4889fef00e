"""PostgreSQL: roles whose password is set."""
