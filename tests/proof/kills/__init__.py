"""The local stack, killed with SIGKILL at random moments of its work and started again."""
