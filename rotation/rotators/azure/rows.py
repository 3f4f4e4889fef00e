"""All rows of the table, by the name of the kind of rotator that each is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rotation.rotators.azure.rows_apps import APPS
from rotation.rotators.azure.rows_data import DATA
from rotation.rotators.azure.rows_messaging import MESSAGING
from rotation.rotators.azure.table import Keyed

ROWS: Mapping[str, Keyed] = MappingProxyType({row.name: row for row in (*MESSAGING, *DATA, *APPS)})
