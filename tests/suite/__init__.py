"""Tests of the tests: runs of pytest within a run."""
