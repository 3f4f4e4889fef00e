"""The library for applications."""
