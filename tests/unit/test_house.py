"""The rules of the house: imports run one way, names say what is in them, and nothing is left for later."""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("rotation", "handlers", "app", "keyturn", "local", "bench", "tests", "infra")
PRODUCT = ("rotation", "handlers", "app", "keyturn")
SOURCES = [*sorted(path for folder in OURS for path in (ROOT / folder).rglob("*.py")), ROOT / "function_app.py"]

# From the bottom up: a room of the core imports only itself, and what stands in its own line or in a line above.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"rotation.frozen", "rotation.addresses", "rotation.side_by_side", "rotation.reasons"}),
    frozenset({"rotation.terms"}),
    frozenset({"rotation.model", "rotation.errors"}),
    frozenset({"rotation.ledger", "rotation.passwords", "rotation.spec"}),
    frozenset(
        {"rotation.ports", "rotation.readers", "rotation.refresh_targets", "rotation.capabilities", "rotation.formats"}
    ),
    frozenset({"rotation.rotators", "rotation.stores", "rotation.refreshers"}),
    frozenset({"rotation.policy"}),
    frozenset({"rotation.engine"}),
)
ADAPTERS_MAY = {
    "ports", "readers", "refresh_targets", "model", "frozen", "errors", "ledger", "formats", "passwords", "addresses",
}  # fmt: skip

ALSO = {"rotation.refreshers": ("rotation.rotators.azure.rest",)}  # one way to call Azure


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Modules of ours, as `package.module`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                (f"{node.module}.{name.name}" for name in node.names) if "." not in node.module else [node.module]
            )


def leans_on(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{name.name}" for name in node.names)
            yield from (found for name in names if (found := name if name in modules else node.module) in modules)


def core_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def sources(folder: str) -> list[Path]:
    return [path for path in SOURCES if path.relative_to(ROOT).parts[0] == folder]


@pytest.mark.parametrize("path", sources("rotation"), ids=module_of)
def test_the_core_imports_downwards_only(path: Path) -> None:
    order = {module: level for level, layer in enumerate(LAYERS) for module in layer}
    mine = core_of(module_of(path))
    if mine == "rotation":
        assert not list(imported(path))
        return
    for module in imported(path):
        assert module.split(".")[0] not in {"handlers", "app", "local", "bench", "tests", "function_app"}
        assert not f"{module}.".startswith("azure.functions.")
        if module.startswith("rotation.") and core_of(module) != mine:
            assert order[core_of(module)] <= order[mine], f"{mine} imports {module}, which stands above it"


@pytest.mark.parametrize("path", sources("rotation"), ids=module_of)
def test_rotators_and_stores_know_the_ports_and_nothing_above(path: Path) -> None:
    mine = core_of(module_of(path))
    if mine not in {"rotation.rotators", "rotation.stores", "rotation.refreshers"}:
        return
    for module in imported(path):
        if module.startswith("rotation.") and core_of(module) != mine and module not in ALSO.get(mine, ()):
            assert module.split(".")[1] in ADAPTERS_MAY


@pytest.mark.parametrize("path", sorted((ROOT / "rotation/rotators/databases").glob("*.py")), ids=module_of)
def test_what_databases_share_knows_none_of_them(path: Path) -> None:
    """Each kind of database imports the shared part, and no kind another one."""
    for module in imported(path):
        assert not module.startswith("rotation.rotators.") or module.startswith("rotation.rotators.databases.")


@pytest.mark.parametrize("path", sources("app"), ids=module_of)
def test_the_app_is_below_the_handlers(path: Path) -> None:
    assert "handlers" not in {module.split(".")[0] for module in imported(path)}


def test_no_module_of_the_product_imports_itself_by_a_way_round() -> None:
    """Nor where it is used, nor for its types: a circle that starts late is one all the same."""
    modules = {module_of(path): path for folder in PRODUCT for path in sources(folder)}
    TopologicalSorter({module: set(leans_on(path, modules)) - {module} for module, path in modules.items()}).prepare()


@pytest.mark.parametrize("path", [*sources("handlers"), *sources("app")], ids=module_of)
def test_only_the_wiring_names_concrete_stores(path: Path) -> None:
    for module in imported(path):
        assert module.split(".")[0] not in {"local", "bench", "tests", "function_app"}
        if module.startswith(("rotation.stores", "rotation.rotators.")):
            assert path.name == "wiring.py"


def test_nobody_imports_the_entry_point_and_it_imports_handlers_alone() -> None:
    ours = {module.split(".")[0] for module in imported(ROOT / "function_app.py")} & {*OURS, "function_app"}
    assert ours <= {"handlers", "app", "rotation"}
    for path in [*sources("local"), *sources("rotation"), *sources("handlers"), *sources("app")]:
        assert "tests" not in {module.split(".")[0] for module in imported(path)}


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|raise NotImplemented" + "Error")
    found = [f"{path}:{number}" for path in SOURCES for number, line in _lines(path) if marks.search(line)]
    assert found == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not [
        path for path in SOURCES if path.stem in {"utils", "util", "helpers", "helper", "common", "misc", "base"}
    ]


def test_files_of_the_product_stay_small() -> None:
    lines = {module_of(path): len(path.read_text().splitlines()) for folder in PRODUCT for path in sources(folder)}
    assert {name: count for name, count in lines.items() if count > 300} == {}
    assert lines["rotation.engine.engine"] <= 280


def test_files_of_the_local_stack_stay_small() -> None:
    lines = {module_of(path): len(path.read_text().splitlines()) for path in sources("local")}
    assert {name: count for name, count in lines.items() if count > 350} == {}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(path.read_text().splitlines(), start=1)
