"""A PostgreSQL and an S3 server for the session, and on them a store of the test's own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from matstrata.store.lake.lake import Lake
from matstrata.store.settings import Settings
from tests import servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    lacks = servers.missing()
    if lacks:
        if os.environ.get("MATSTRATA_CI"):
            pytest.fail(f"continuous integration {lacks}")
        pytest.skip(lacks)
    with servers.running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3(postgres: servers.Postgres) -> Iterator[str]:
    with servers.running_s3() as address:
        yield address


@pytest.fixture(scope="session")
def variables(postgres: servers.Postgres, s3: str) -> Callable[[], dict[str, str]]:
    """The variables of a new, empty place for a shared store."""

    def variables() -> dict[str, str]:
        name = f"store_{uuid.uuid4().hex[:12]}"
        postgres.psql(f"CREATE DATABASE {name}")
        address = f"postgresql://{servers.USER}:{quote(servers.PASSWORD, safe='')}@127.0.0.1:{postgres.port}/{name}"
        return {
            "MATSTRATA_CATALOG": address,
            "MATSTRATA_DATA": f"s3://{servers.BUCKET}/{name}",
            "AWS_ENDPOINT_URL": s3,
            "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
        }

    return variables


@pytest.fixture
def place(
    variables: Callable[[], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Lake]:
    """Set the variables of a new place, as a user would, and give the store that they mean."""

    def place() -> Lake:
        for variable, value in {**variables(), "MATSTRATA_STORE": str(tmp_path / "store")}.items():
            monkeypatch.setenv(variable, value)
        return Lake.of(Settings())

    return place


@pytest.fixture
def shared(place: Callable[[], Lake]) -> Lake:
    """An initialised, empty shared store, which the variables of the environment name."""
    lake = place()
    lake.init()
    return lake
