"""Microsoft's clients of the resource manager and of Graph, run by a Python that has them: not the project's."""
