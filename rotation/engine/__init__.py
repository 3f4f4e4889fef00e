"""The order of the steps, and what decides about them."""
