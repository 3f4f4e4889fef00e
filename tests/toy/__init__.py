"""A kind of rotator that nobody needs, and the test that adds it to a copy of the tree: `test_toy_kind.py`."""
