"""What became of one trial."""

from dataclasses import dataclass

from rotation.rotators import ROTATORS

REFUSALS = frozenset({"denied", "unusable", "malformed", "not_found", "ignored"})


@dataclass(frozen=True, slots=True)
class Seen:
    """kind: "control", "denied", "planted" or "vault". answer: the outcome, or the error's code. tokens: asked for.

    python: what the audit hook told. permitted, canaries: connections that arrived.
    """

    kind: str
    rotator: str
    name: str
    answer: str
    tokens: int
    python: list[str]
    permitted: int
    canaries: int

    @property
    def broken(self) -> bool:
        """Whether the identity was led where it must not go; of a control, whether it went nowhere at all."""
        if self.kind == "control":
            kind = ROTATORS.get(self.rotator)  # None: of one that is about a vault
            leads_somewhere = kind is None or bool(kind.targets)
            return self.canaries > 0 or (self.permitted > 0) != leads_somewhere
        if self.kind == "planted":
            return self.canaries > 0 or any("127.0.0.1" not in event for event in self.python)
        quiet = not self.python and not self.permitted and not self.canaries and not self.tokens
        return not quiet or self.answer not in REFUSALS
