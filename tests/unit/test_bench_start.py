"""What a start of the app is measured against."""

import re
from pathlib import Path

from bench.indexing import FUNCTIONS

ROOT = Path(__file__).parents[2]


def test_the_empty_app_has_the_triggers_that_the_app_has() -> None:
    """Else the ratio of a cold start compares what can't be compared, and the bench ends."""
    ours, empty = (
        set(re.findall(r"^async def ([a-z]\w*)\(", path.read_text(), flags=re.MULTILINE))
        for path in (ROOT / "function_app.py", ROOT / "bench" / "empty_app" / "function_app.py")
    )
    assert ours == empty
    assert len(ours) == FUNCTIONS
