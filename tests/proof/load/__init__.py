"""Mass rotation at Key Vault's real limits, and sweeps over very many secrets. `python -m tests.proof.load`."""
