"""`refresh` of a rule: who is asked to take each new version. Loaded only for a rule that has it.

Each entry is a small table. Its first key says the kind and the one exact target; the others are what the kind needs.
Nothing here takes a `*`: an entry is a call that the app makes with its own rights, or with a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rotation.addresses import AKS_CLUSTERS, CONTAINER_APPS, SITES, is_host, port_number, resource_of
from rotation.refreshers import REFRESHERS
from rotation.terms import COMPANION_SUFFIX, PASSWORD, WHOLE, Refresh

if TYPE_CHECKING:
    from rotation.policy.table import Table

MAX_ENTRIES = 20  # of one rule: they are all asked while the secret's lease is held

_SITE = "[a-z0-9][a-z0-9-]{0,59}(?:/slots/[a-z0-9][a-z0-9-]{0,58})?"  # "Resource naming rules", Microsoft.Web
_CONTAINER_APP = "[a-z][a-z0-9-]{0,30}[a-z0-9]"  # "Resource naming rules", Microsoft.App
_CLUSTER = "[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"  # "Resource naming rules", Microsoft.ContainerService
_DNS_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123, as Kubernetes names namespaces
_DEPLOYMENT = re.compile(rf"{_DNS_LABEL}/{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_DEVOPS = re.compile(r"https://dev\.azure\.com/([A-Za-z0-9][A-Za-z0-9-]{0,49})/([A-Za-z0-9_][A-Za-z0-9_. -]{0,63})/?")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_WORKFLOW = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.ya?ml")
# git-check-ref-format, and nothing that a URL or a shell would read otherwise.
_REF = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}(?<![./])")
_SECRET = re.compile(r"([A-Za-z0-9-]{1,127})/([A-Za-z0-9-]{1,127})")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")
_GITHUB_SECRET = re.compile(r"(?!github_)[a-z_][a-z0-9_]{0,254}", re.IGNORECASE)  # "Naming your secrets"
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ -]{0,253}(?<! )")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PATH = re.compile(r"(?:/[A-Za-z0-9._~%@:+-]*)*")


@dataclass(frozen=True, slots=True)
class _Form:
    """What one kind's table holds. options: read in this order. secret: the key that names a secret; None: none.

    optional: those of the options that may be left out. written: the new version's value is written there, so that
    `part` may say which part of it. fits: raises ValueError where what each key says by itself does not fit together.
    """

    target: Callable[[str], str]
    such_as: str
    options: Mapping[str, Callable[[object], str]]
    secret: str | None = None
    optional: frozenset[str] = frozenset()
    written: bool = False
    fits: Callable[[Refresh], None] = lambda _: None


def read_refreshes(table: Table) -> tuple[Refresh, ...]:
    """The entries of a rule; what is wrong is reported, one line each."""
    place, values = (*table.place, "refresh"), table.values["refresh"]
    if not isinstance(values, list) or not values or len(values) > MAX_ENTRIES:
        such_as = 'refresh = [{ app-settings = "/subscriptions/..." }]'
        table.problems.add(place, f"`refresh` must be a list of 1 to {MAX_ENTRIES} tables, such as {such_as}")
        return ()
    found: list[Refresh] = []
    for index, value in enumerate(values):
        try:
            one = _read(value)
            if one.name in {other.name for other in found}:
                raise ValueError("this is asked already by an entry before it; take it out")  # noqa: TRY301
        except ValueError as error:
            table.problems.add((*place, index), f"`refresh` {value!a:.120}: {error}")
        else:
            found.append(one)
    return tuple(found)


def _read(value: object) -> Refresh:
    """One entry.

    Raises:
        ValueError: its one line says what is wrong and how to write it.
    """
    entry = value if isinstance(value, dict) else {}
    kinds = [key for key in entry if key in _FORMS]
    if len(kinds) != 1:
        raise ValueError(f"write one table for each, with one of {', '.join(_FORMS)} in it")
    (kind,) = kinds
    form = _FORMS[kind]
    known = (kind, *form.options, *((form.secret,) if form.secret else ()))
    for key in entry:
        if key not in known and not (form.written and key == "part"):
            raise ValueError(f"`{key!a:.40}` means nothing to {kind}; write {form.such_as}")
    for key in known:
        if key not in entry and key not in form.optional:
            raise ValueError(f"`{key}` is missing; write {form.such_as}")
    target = entry[kind]
    if not isinstance(target, str) or not target.isascii():
        raise ValueError(f"`{kind}` must be text in quotes; write {form.such_as}")
    try:
        one = Refresh(
            kind,
            form.target(target),
            tuple((key, read(entry[key])) for key, read in form.options.items() if key in entry),
            _secret(entry[form.secret], form.secret) if form.secret else None,
            _part(entry.get("part")) if form.written else None,
        )
        form.fits(one)
    except ValueError as error:
        raise ValueError(f"{error}; write {form.such_as}") from None
    return one


def _resource(kind: str, name: str, what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if resource_of(text, kind, name) is None:
            raise ValueError(f"this is not the resource id of {what}")
        return text.lower()

    return read


def _devops(text: str) -> str:
    found = _DEVOPS.fullmatch(text)
    if found is None:
        raise ValueError("this is not the address of a project")
    return f"{found[1]}/{found[2]}"


def _repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text):
        raise ValueError("this is not a repository, OWNER/NAME")
    return text


def _repository_or_owner(text: str) -> str:
    if not _OWNER.fullmatch(text) and not _REPOSITORY.fullmatch(text):
        raise ValueError("this is not a repository, OWNER/NAME, nor an organization")
    return text


def _environment_of_a_repository(one: Refresh) -> None:
    if "/" not in one.target and "environment" in dict(one.options):
        raise ValueError("`environment` is one of a repository, and this is an organization")


def _url(text: str) -> str:
    """One exact address: no user, no query, no fragment, and a host that every resolver reads in the same way."""
    parts = urlsplit(text)
    host, colon, port = parts.netloc.partition(":")
    sound = parts.scheme == "https" and is_host(host) and (not colon or port_number(port) is not None)
    if not sound or "?" in text or "#" in text or not _PATH.fullmatch(parts.path):
        raise ValueError("an address is https://, one exact host and a path; no user, query or fragment")
    if ".." in parts.path.split("/") or "." in parts.path.split("/"):
        raise ValueError("an address has no `.` or `..` in its path")
    return f"https://{parts.netloc.lower()}{parts.path or '/'}"


def _text(form: re.Pattern[str], what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f"{value!a:.60} is not {what}")
        return value

    return read


def _number(value: object) -> str:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
        raise ValueError("`pipeline` is the number of the pipeline, as in its address after definitionId=")
    return str(value)


def _github_secret(value: object) -> str:
    if not isinstance(value, str) or not _GITHUB_SECRET.fullmatch(value):
        raise ValueError(
            f"{value!a:.60} is no name of a secret there: letters, digits and _, no digit in front, no GITHUB_"
        )
    return value.upper()  # as GitHub keeps it: "Naming your secrets"


def _connection(value: object) -> str:
    if not isinstance(value, str) or not _GUID.fullmatch(value):
        raise ValueError("`connection` is the id of the service connection, as in its address after resourceId=")
    return value.lower()


def _part(value: object) -> str:
    if value is not None and value != PASSWORD:
        raise ValueError(f'`part` is "{PASSWORD}", or is left out: then all of the value is written')
    return WHOLE if value is None else PASSWORD


def _secret(value: object, key: str) -> tuple[str, str]:
    found = _SECRET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'`{key}` names a secret, "VAULT/NAME"; its value is never written here')
    if found[2].lower().endswith(COMPANION_SUFFIX):
        raise ValueError(f"`{key}`: staged values are kept under such a name; write the secret's own name")
    return found[1].lower(), found[2].lower()


_BRANCH = _text(_REF, "a branch")

_FORMS: Mapping[str, _Form] = {
    "app-settings": _Form(
        _resource(SITES, _SITE, "an App Service or Functions app, or of a slot of one"),
        '{ app-settings = "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Web/sites/NAME" }',
        {},
    ),
    "container-app": _Form(
        _resource(CONTAINER_APPS, _CONTAINER_APP, "a container app"),
        '{ container-app = "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.App/containerApps/NAME" }',
        {},
    ),
    "aks": _Form(
        _resource(AKS_CLUSTERS, _CLUSTER, "an AKS cluster"),
        '{ aks = "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.ContainerService/managedClusters/NAME", '
        'deployment = "namespace/name" }',
        {"deployment": _text(_DEPLOYMENT, "a deployment, namespace/name")},
    ),
    "azure-devops": _Form(
        _devops,
        '{ azure-devops = "https://dev.azure.com/ORGANIZATION/PROJECT", pipeline = 12, branch = "main" }',
        {"pipeline": _number, "branch": _BRANCH},
    ),
    "github": _Form(
        _repository,
        '{ github = "OWNER/REPOSITORY", workflow = "refresh.yml", ref = "main", token = "VAULT/SECRET" }',
        {"workflow": _text(_WORKFLOW, "the file name of a workflow"), "ref": _text(_REF, "a branch or a tag")},
        "token",
    ),
    "github-secret": _Form(
        _repository_or_owner,
        '{ github-secret = "OWNER/REPOSITORY", secret = "NAME", token = "VAULT/SECRET" }',
        {"secret": _github_secret, "environment": _text(_ENVIRONMENT, "an environment")},
        "token",
        frozenset({"environment"}),
        written=True,
        fits=_environment_of_a_repository,
    ),
    "azure-devops-connection": _Form(
        _devops,
        '{ azure-devops-connection = "https://dev.azure.com/ORGANIZATION/PROJECT", '
        'connection = "00000000-0000-0000-0000-000000000000" }',
        {"connection": _connection},
        written=True,
    ),
    "webhook": _Form(_url, '{ webhook = "https://HOST/PATH", key = "VAULT/SECRET" }', {}, "key"),
}
assert _FORMS.keys() == REFRESHERS.keys()  # noqa: S101  a kind without its form could not be written down
