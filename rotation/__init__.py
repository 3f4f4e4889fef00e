"""Keyturn's core: what to rotate, in which order, and through which rotator. Never imports azure.functions."""
