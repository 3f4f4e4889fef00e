"""Clients that read the vault and log in without pause while rotations run. `python -m tests.proof.consumers`."""
