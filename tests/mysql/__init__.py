"""Real MySQL and MariaDB servers for tests: the system's, or Debian's packages unpacked below `.cache`."""
