"""Two accounts in turn of a real MySQL, and of a real MariaDB: see `harness_mysql`."""

from collections.abc import Mapping

from tests.contract.harness import Variant
from tests.contract.harness_mysql import IN_TURN, variant

HARNESSES: Mapping[str, Variant] = {
    "mysql-alternating": variant("mysql", IN_TURN, slow=False),
    "mysql-alternating-by-administrator": variant("mysql", IN_TURN, with_admin=True),
    "mysql-alternating-of-mariadb": variant("mariadb", IN_TURN),
    "mysql-alternating-of-mariadb-by-administrator": variant("mariadb", IN_TURN, with_admin=True),
}
