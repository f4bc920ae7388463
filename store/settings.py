"""The settings: every environment variable that Matstrata reads, declared once.

Not here: what a source or a feature set is made of (contracts, feature definitions).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from matstrata.store.addresses import public_address

PROJECT = Path(__file__).resolve().parent.parent

Folders = Annotated[tuple[Path, ...], NoDecode]


class Settings(BaseSettings):
    """The places that Matstrata uses; each field is the variable `MATSTRATA_<FIELD>`, lists separated as in PATH."""

    model_config = SettingsConfigDict(env_prefix="MATSTRATA_", frozen=True)

    store: Path = Field(default=PROJECT / "warehouse", description="folder of the store")
    catalog: SecretStr | None = Field(default=None, description="PostgreSQL address of a shared store's catalog")
    data: str | None = Field(default=None, description="place of a shared store's files: s3://bucket/prefix")
    mirror: Folders = Field(default=(), description="folders to look for pinned files in, by SHA-256")
    cache: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("matstrata")), description="download cache"
    )
    contracts: Folders = Field(default=(), description="folders of more contracts; one replaces its shipped namesake")
    inbox: Path = Field(default=PROJECT / "inbox", description="folder in which a sensor looks for dropped contracts")
    lock_timeout: float = Field(default=600, gt=0, description="seconds to wait for another writer")

    @field_validator("mirror", "contracts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(Path(part) for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("store", "cache", "inbox", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("mirror", "contracts", mode="after")
    @classmethod
    def _all_absolute(cls, value: Sequence[Path]) -> tuple[Path, ...]:
        return tuple(path.expanduser().resolve() for path in value)


class AwsSettings(BaseSettings):
    """How to reach the bucket of a shared store: the standard variables, `AWS_<FIELD>`. Never kept, never printed."""

    model_config = SettingsConfigDict(env_prefix="AWS_", frozen=True, env_ignore_empty=True)

    endpoint_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        description="address of an S3-compatible server",
    )
    region: str = Field(
        default="us-east-1",
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="region of the bucket",
    )
    access_key_id: SecretStr | None = Field(default=None, description="name of the key")
    secret_access_key: SecretStr | None = Field(default=None, description="the key")
    session_token: SecretStr | None = Field(default=None, description="of a temporary key")


def describe(settings: Settings) -> list[dict[str, str]]:
    """One row per setting: variable, value, whether it was set or is the default, meaning; secrets hidden."""
    groups = [("MATSTRATA", settings), *([("AWS", AwsSettings())] if settings.catalog else [])]
    return [
        {
            "variable": f"{prefix}_{name.upper()}",
            "value": _public(name, getattr(group, name)),
            "origin": "environment" if name in group.model_fields_set else "default",
            "meaning": field.description or "",
        }
        for prefix, group in groups
        for name, field in type(group).model_fields.items()
    ]


def _public(name: str, value: Any) -> str:
    """A value as people may see it."""
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        if name != "catalog":
            return "hidden"
        return public_address(value.get_secret_value())
    return os.pathsep.join(map(str, value)) if isinstance(value, tuple) else str(value)
