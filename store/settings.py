"""The settings: every environment variable that Matstrata reads, declared once.

Not here: what a source or a feature set is made of (contracts, feature definitions).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent

Folders = Annotated[tuple[Path, ...], NoDecode]


class Settings(BaseSettings):
    """Where things lie. Each field is the variable `MATSTRATA_<FIELD>`; lists of folders are separated as in PATH."""

    model_config = SettingsConfigDict(env_prefix="MATSTRATA_", frozen=True)

    store: Path = Field(default=PROJECT / "warehouse", description="folder of the embedded store")
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


def describe(settings: Settings) -> list[dict[str, str]]:
    """One row per setting: variable, value, whether it was set or is the default, meaning."""
    return [
        {
            "variable": f"MATSTRATA_{name.upper()}",
            "value": os.pathsep.join(map(str, value)) if isinstance(value, tuple) else str(value),
            "origin": "environment" if name in settings.model_fields_set else "default",
            "meaning": field.description or "",
        }
        for name, field in type(settings).model_fields.items()
        for value in [getattr(settings, name)]
    ]
