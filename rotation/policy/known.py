"""What the app's own rotators and passwords are called: all that a policy may name.

The app's start and `python -m rotation.policy check` both ask here, so that what one accepts the other does.
"""

from rotation.passwords import ALPHABETS
from rotation.policy.rule_reader import Known
from rotation.rotators import ROTATORS


def known_names() -> Known:
    """The names, and what rules for each rotator must list."""
    return Known(
        rotators=ROTATORS,
        needs_slots={name for name, kind in ROTATORS.items() if kind.needs_slots},
        needs_target={name for name, kind in ROTATORS.items() if kind.targets},
        takes_turns={name for name, kind in ROTATORS.items() if kind.takes_turns},
        logs_in={name for name, kind in ROTATORS.items() if kind.logs_in},
        ports={name: kind.ports for name, kind in ROTATORS.items() if kind.ports},
        alphabets=ALPHABETS,
    )
