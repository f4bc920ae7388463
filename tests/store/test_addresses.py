"""Addresses of catalogs: people see all of one but its password, also in the messages about a wrong one."""

from __future__ import annotations

import pytest

from matstrata.schemas.errors import InputError
from matstrata.store.addresses import address_parts, public_address


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("postgresql://me:s3cret@host:5433/lake", "postgresql://me@host:5433/lake"),
        ("postgres://host/lake", "postgresql://host/lake"),
        ("postgresql://me:p%40s%2Fs@host/lake?sslmode=require&password=s3cret", "postgresql://me@host/lake"),
    ],
)
def test_the_password_is_left_out(url, public):
    assert public_address(url) == public


def test_the_parts_are_decoded():
    parts = address_parts("postgresql://me:p%40s%2Fs@host:5433/lake?sslmode=require")
    assert parts == {
        "user": "me",
        "password": "p@s/s",
        "host": "host",
        "port": "5433",
        "dbname": "lake",
        "sslmode": "require",
    }


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:s3cret@host/lake",
        "postgresql://me:s3cret@host",  # no database
        "postgresql://me:s3cret@host:port/lake",
        "postgresql://me:s3@cret@host/lake",  # a password whose special characters are not encoded
        "postgresql://me:s3/cret@host/lake",
    ],
)
def test_a_wrong_address_is_refused_and_not_repeated(url):
    with pytest.raises(InputError, match="MATSTRATA_CATALOG must read postgresql://user@host:5432/database") as error:
        public_address(url)
    assert "cret" not in str(error.value)
