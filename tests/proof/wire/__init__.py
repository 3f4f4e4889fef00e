"""Faults on the wire and of the servers, between the running app and each real part. `python -m tests.proof.wire`."""
