"""Programs under `keyturn run` that log in without pause while rotations run. `python -m tests.proof.keyturn_run`."""
