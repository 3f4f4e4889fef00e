"""The whole app on Microsoft's own Functions host, with the local vault, identity, ARM, Graph, PostgreSQL and Azurite.

`make real-host` runs it. `host.py` starts the host and `stage.py` all that the app needs; the lane's checks stand in
`lane_*.py`.
"""
