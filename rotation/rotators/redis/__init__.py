"""Redis and Valkey: ACL users, to which a password is added and from which the old one is taken away."""
