"""How a promise is looked up in the parsed files."""

from tests.infra.bicep import Declared, File, Value, all_files, at


def made(kind: str) -> list[tuple[File, Declared]]:
    """Every resource of a type that is made here."""
    return [
        (file, resource)
        for file in all_files()
        for resource in file.resources.values()
        if resource.type.partition("@")[0] == kind and not resource.existing
    ]


def holds(file: File, resource: str, **expected: Value) -> None:
    body = file.resources[resource].body
    for path, value in expected.items():
        found = at(body, "properties." + path.replace("__", "."))
        assert found == value, f"{file.name}, {resource}: {path} is {found}"
