"""`python -m tests.proof.mutations`: each rule is taken out in turn, and a test must notice."""
