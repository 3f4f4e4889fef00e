"""The pages for operators say what the code says: a wrong word there costs somebody an hour at night."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import rotation.engine.engine  # noqa: F401  its errors are told to users too
from handlers.problems import problem
from rotation import errors
from rotation.errors import RotationError
from rotation.policy.check import main

ROOT = Path(__file__).parents[2]
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
PAGES = (ROOT / "docs" / "operations.md", TROUBLESHOOTING)
ALL = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
OPENAPI: Any = json.loads((ROOT / "handlers" / "openapi.json").read_text())


def spans(text: str) -> list[str]:
    """What stands in backticks."""
    return [found[1] for found in re.findall(r"(`+) ?(.+?) ?\1(?!`)", text)]


def code(page: Path) -> list[str]:
    """The lines of code blocks, and what stands in backticks elsewhere."""
    found: list[str] = []
    inside = False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        else:
            found += [line.strip()] if inside else spans(line)
    return found


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def every_error(kind: type[RotationError] = RotationError) -> set[type[RotationError]]:
    return {kind}.union(*(every_error(below) for below in kind.__subclasses__()))


def test_the_error_codes_are_explained_each_in_its_row() -> None:
    codes = {kind.code for kind in every_error() if kind.__module__.split(".")[0] == "rotation"}
    assert {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RotationError)
    } <= codes
    text = TROUBLESHOOTING.read_text()
    roots = {RotationError.code, errors.Transient.code}
    assert [one for one in sorted(codes - roots) if f"\n| `{one}` |" not in text] == []
    assert all(f"`{one}`" in text for one in roots)


def test_the_status_beside_a_code_is_the_one_that_is_answered() -> None:
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", TROUBLESHOOTING.read_text(), re.MULTILINE))
    answered = {kind.code: str(problem(kind("")).status) for kind in every_error() if kind.code in told}
    assert told == answered


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_route_and_its_method_exist(page: Path) -> None:
    known = {re.sub(r"\{[a-z]+\}", "[^/]+", path): operations for path, operations in OPENAPI["paths"].items()}
    for line in code(page):
        for method, path in re.findall(r"(?:(GET|POST) |\$APP|\s|^)(/api/[A-Za-z0-9{}/.-]+)", line):
            fitting = [operations for pattern, operations in known.items() if re.fullmatch(pattern, path)]
            assert fitting, f"{path}: no such route"
            used = method or ("POST" if "-X POST" in line else "GET")
            assert any(used.lower() in operations for operations in fitting), f"{used} {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_query_flag_exists(page: Path) -> None:
    known = {one["name"] for one in OPENAPI["components"]["parameters"].values() if one["in"] == "query"}
    lines = code(page)
    used = {name for line in lines for name in re.findall(r"rotate\?([a-z_]+)=", line)}
    used |= {line.partition("=")[0] for line in lines if re.fullmatch(r"(force|[a-z]+_[a-z]+)=\w+", line)}
    assert used
    assert used <= known


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_setting_of_the_apps_exists(page: Path) -> None:
    settings = (ROOT / "app" / "settings.py").read_text()
    named = set(re.findall(r"\bROTATION_[A-Z_]+\b", page.read_text()))
    assert [name for name in sorted(named) if f'"{name}"' not in settings] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_parameter_of_the_deployment_exists(page: Path) -> None:
    declared = "".join(
        (ROOT / "infra" / name).read_text() for name in ("main.bicep", "modules/types.bicep", "alerts.json")
    )
    named = {span for span in code(page) if re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", span)}
    assert named
    assert [name for name in sorted(named) if not re.search(rf"^\s*(param |\")?{name}\b", declared, re.MULTILINE)] == []


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_script_exists_and_knows_its_options(page: Path) -> None:
    for line in code(page):
        for found in re.finditer(r"(infra/[a-z_/]+\.sh)([^#)&|]*)", line):
            script = (ROOT / found[1]).read_text()
            assert [one for one in re.findall(r"--[a-z-]+", found[2]) if f"{one})" not in script] == []


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in slugs(linked), target


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_every_module_and_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in code(page):
        for module in re.findall(r"python3? -m ([a-z_.]+)", line):
            assert find_spec(module), f"no module {module}"
        for target in re.findall(r"^make ([a-z-]+)", line):
            assert target in targets, f"make {target}"


def test_the_readme_is_short_and_leads_to_a_deployment_early() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 200
    assert any("#on-azure-permit-deploy-onboard-watch" in line for line in lines[:20])
    text = "\n".join(lines)
    parts = [
        text.index(f"**{number}. {word}.**") for number, word in enumerate(("Permit", "Deploy", "Onboard", "Watch"), 1)
    ]
    assert parts == sorted(parts)


def test_the_readme_leads_from_what_it_is_to_watching_it() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert headings == [
        "Keyturn",
        "The picture",
        "Two commands",
        "What you see",
        "On Azure: permit, deploy, onboard, watch",
        "How sure can I be?",
    ]


@pytest.mark.parametrize(
    "page", [*ALL, ROOT / "CONTRIBUTING.md", ROOT / "infra" / "README.md"], ids=lambda page: page.name
)
def test_the_words_are_those_that_readers_of_english_as_a_second_language_know(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]+`", "", page.read_text(), flags=re.DOTALL)
    assert (
        re.findall(r"(?i)\b(?:likewise|his|him|himself|told|notwithstanding|stands|stood|whoever|tells)\b", prose) == []
    )


def test_the_page_for_users_shows_what_the_check_of_a_policy_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "using.md").read_text().partition("## The policy")[2].partition("\n## ")[0]
    file = tmp_path / "policy.toml"
    rule = '[[rule]]\nvaults = ["kv-a"]\nsecrets = ["a"]\nrotators = ["generated"]\n'
    file.write_text(rule)
    assert main(["check", str(file)]) == 0
    assert f"`{capsys.readouterr().out.strip().rpartition('/')[2]}`" in page
    file.write_text(rule + "\n" * 77 + 'password = { alphabet = "latin" }\n')
    assert main(["check", str(file)]) == 2
    assert f"``{capsys.readouterr().err.strip().rpartition('/')[2]}``" in page


def test_git_ignores_each_file_that_a_command_of_the_pages_writes_a_value_to() -> None:
    lines = [line for page in ALL for line in code(page)]
    written = {name for line in lines for name in re.findall(r"(?:> |--file )(\S+\.txt)", line)}
    assert written
    assert written <= set((ROOT / ".gitignore").read_text().splitlines())
