"""`python -m tests.proof`: everything that is promised, tried at length, in one table."""
