"""What there is: one JSON file, and what every command needs to read it and its own options."""

import json
import os
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("FAKE_AZ", "."))
SUBSCRIPTION = "00000000-0000-0000-0000-00000000000a"
ME = "00000000-0000-0000-0000-0000000000ee"

Json = Any
Options = dict[str, list[str]]


class Refused(Exception):
    """What az prints on standard error, and its exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Cloud(dict[str, Json]):
    """The state; `save` is called by commands that change it."""

    @classmethod
    def load(cls) -> "Cloud":
        return cls(json.loads((HOME / "cloud.json").read_text()))

    def save(self) -> None:
        (HOME / "cloud.json").write_text(json.dumps(self, indent=1, sort_keys=True))


def one(options: Options, name: str) -> str:
    if name not in options:
        raise Refused(f"the following arguments are required: {name}", 2)
    return options[name][0]


def from_file(value: str) -> Json:
    return json.loads(Path(value.removeprefix("@")).read_text()) if value.startswith("@") else json.loads(value)
