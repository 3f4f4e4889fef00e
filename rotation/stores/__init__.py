"""Where secrets and histories are kept. Nothing is imported here: a cold start loads only the store it uses."""
