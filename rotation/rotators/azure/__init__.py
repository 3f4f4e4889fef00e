"""What Azure keeps: keys of resources, secrets of applications."""
