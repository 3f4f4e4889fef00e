"""Names that SQL has to quote, and passwords that every format has to."""

import pytest

from tests.e2e.deployment import Deployment, logs_in


@pytest.mark.parametrize(
    ("secret", "role"), [("quoted", 'we"ird'), ("spaced", "Mixed Case"), ("umlauts", "ünï"), ("percent", "a%b'c\\d")]
)
@pytest.mark.parametrize("rotator", ["postgres", "postgres-alternating"])
async def test_odd_role_names_rotate(app: Deployment, secret: str, role: str, rotator: str) -> None:
    name = f"{secret}-{'turns' if rotator.endswith('alternating') else 'place'}"
    roles = [f"{role} {rotator}", f"{role} {rotator} b"]
    tags = {"rotator": rotator, "slots": ",".join(roles)}
    await app.put(name, await app.role(roles[1]), life=None)
    old = await app.role(roles[0], """;'"=@:/?#%&\\ {}""")
    await app.put(name, old, tags)
    answer = await app.rotate(name)
    assert answer.json.get("outcome") == "rotated", answer.text
    new = await app.value(name)
    assert new != old
    assert await logs_in(new)
    assert await logs_in(old) == rotator.endswith("alternating")
