"""Addresses of PostgreSQL catalogs: their parts, and the form that people may see.

It is the lowest module of the store, below the settings, which show such an address, and the lake, which opens it.
Not here: the catalog behind an address (`store.lake.catalogs`).
"""

from __future__ import annotations

from matstrata.schemas.errors import InputError


def public_address(url: str) -> str:
    """An address of a catalog without its password.

    Args:
        url: `postgresql://[user[:password]@]host[:port]/database[?parameters]`.

    Returns:
        The address, as messages may show it.

    Raises:
        InputError: It is not such an address; the message does not repeat it, since it may hold a password.
    """
    parts = address_parts(url)
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts['dbname']}"


def address_parts(url: str) -> dict[str, str]:
    """The parts of an address by the names that libpq gives them: host, port, dbname, user, password and so on.

    Raises:
        InputError: It is not an address of a PostgreSQL database; the message does not repeat it.
    """
    from psycopg import ProgrammingError  # deferred: 0.15 s
    from psycopg.conninfo import conninfo_to_dict

    form = "MATSTRATA_CATALOG must read postgresql://user@host:5432/database"
    if not url.startswith(("postgresql://", "postgres://")):
        raise InputError(form)
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError:
        parts = {}
    # a password with '/' or '@' in it shifts its rest to where it would be shown
    complete = {"host", "dbname"} <= parts.keys() and parts.get("port", "1").replace(",", "").isdigit()
    if not complete or any("@" in parts.get(name, "") for name in ("host", "dbname")):
        raise InputError(
            f"{form}; special characters of a password are written as %40 for @, %2F for / and so on"
        ) from None
    return parts
