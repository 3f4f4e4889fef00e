"""What the ledger says: its records, what they mean, and who owns a credential."""
