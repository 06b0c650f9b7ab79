"""Upgrades: the schema of an open database brought to the newest, by Alembic.

Nothing else imports Alembic, which takes 8 MB for as long as a process runs: the database asks for this
module only where a schema is not the newest.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect

from crm_core import walls
from crm_core.errors import Unavailable


def upgrade(conn: Connection, present: str | None) -> None:
    """This function will bring a database from its present revision (None: it has none) to the newest.

    Raises Unavailable where it was made by a newer version, holds other tables, or is not for this role to change.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    if present is None and inspect(conn).get_table_names():
        raise Unavailable("This database holds other tables; name an empty one in CRM_DATABASE_URL.")
    try:
        ScriptDirectory.from_config(config).get_revision(present or "base")
    except CommandError:
        raise Unavailable(
            "This database was made by a newer version of the program; update the program first."
        ) from None
    walls.require_owner(conn)
    command.upgrade(config, "heads")
