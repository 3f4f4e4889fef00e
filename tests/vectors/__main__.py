"""`python -m tests.vectors`: how many strings are taken and refused, and why; 1 where a driver reads another thing."""

import sys
from collections import Counter

from tests.vectors import vectors
from tests.vectors.judge import judge


def main(*, every: bool) -> int:
    """Prints a table; with --every each string's verdict too."""
    taken: Counter[tuple[str, str]] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    wrong: list[str] = []
    for vector in vectors():
        verdict = judge(vector)
        if verdict.form is None:
            refused[(vector.family, verdict.refusal or "")] += 1
        else:
            taken[(vector.family, verdict.form)] += 1
        wrong += [f"{vector.id}: {one}" for one in verdict.wrong]
        if every:
            sys.stdout.write(f"{vector.id} {verdict.form} {verdict.refusal or ''} {vector.text[:160]!r}\n")
    for (family, form), count in sorted(taken.items()):
        sys.stdout.write(f"taken    {count:5} {family:14} as {form}\n")
    for (family, reason), count in sorted(refused.items()):
        sys.stdout.write(f"refused  {count:5} {family:14} {reason}\n")
    sys.stdout.write("".join(f"WRONG    {one}\n" for one in wrong))
    sys.stdout.write(f"{taken.total()} taken, {refused.total()} refused, {len(wrong)} read in another way\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(every="--every" in sys.argv[1:]))
