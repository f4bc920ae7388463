"""The asset of a feature set depends on the table of what it describes."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from matstrata.pipelines.defs.features import features_asset
from matstrata.pipelines.descriptors.registry import get_feature_set
from matstrata.store.features.sets import ENTITIES


@pytest.mark.parametrize(("entity", "described"), [("material", "materials"), ("structure", "structures")])
def test_it_depends_on_what_it_describes(entity: str, described: str) -> None:
    asset = features_asset(replace(get_feature_set("stoichiometry"), entity=entity))
    assert asset.dependency_keys == {dg.AssetKey(described)}


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_entity_can_have_feature_sets(entity: str) -> None:
    assert features_asset(replace(get_feature_set("stoichiometry"), entity=entity)).key == dg.AssetKey(
        ["features", "stoichiometry"]
    )
