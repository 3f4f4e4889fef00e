"""Kills a run of the engine at one moment of its calls."""


class Killed(BaseException):
    """Nothing of ours catches it, as nothing catches SIGKILL."""


class Killer:
    """Kills at the n-th moment, before or after a call takes effect; 0: never, it counts. The dead do nothing more."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    async def __call__(self, _when: str, _call: str, _name: str) -> None:
        self.count += 1
        if 0 < self.at <= self.count:
            raise Killed
