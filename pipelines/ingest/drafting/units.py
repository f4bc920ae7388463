"""The unit of a column of values: the one its header states, or one in which its numbers fit the property's bounds.

Not here: units as headers spell them (`pipelines.ingest.readers.header_units`), and conversion (`schemas.units`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from matstrata.pipelines.ingest.drafting.numbers import numbers
from matstrata.pipelines.ingest.readers.header_units import split_unit, unknown_unit
from matstrata.schemas.errors import InputError
from matstrata.schemas.properties import get_property
from matstrata.schemas.units import NO_UNIT

_INSIDE_SHARE = 0.98  # of the values that must lie within the property's bounds

# Units in which values are often found that don't fit into a property's bounds in its own unit
_OTHER_SCALES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "eV": ("meV",),
        "eV/atom": ("meV/atom",),
        "GPa": ("MPa", "kbar", "Pa"),
        "MPa": ("Pa",),
        "1/cm": ("1/m",),
        "uV/K": ("nV/K",),
    }
)


def guess_unit(header: str, property: str, texts: Sequence[str]) -> tuple[str, list[str]]:
    """The unit in which a column's numbers lie within the property's bounds: the stated one, its own, or another.

    Returns:
        The unit, as pint writes it, and what a person should look at.
    """
    canonical = get_property(property).unit
    stated = split_unit(header)[1]
    checks = []
    if stated is not None and not _is_convertible(stated, canonical):
        checks.append(f"column {header!r} says {stated}, which is not a unit of {property} ({canonical})")
        stated = None
    if unknown := unknown_unit(header):
        checks.append(f"column {header!r} says {unknown!r}: write that unit as pint does, if it is one")
    values = numbers(texts)
    candidates = [stated] if stated else []
    candidates += [unit for unit in (canonical, *_OTHER_SCALES.get(canonical, ())) if unit not in candidates]
    fitting = next((unit for unit in candidates if _inside(values, unit, property)), candidates[0])
    if fitting != (stated or canonical):
        checks.append(
            f"values of {header!r} don't fit into the bounds of {property} in {stated or canonical}: {fitting}?"
        )
    elif not _inside(values, fitting, property):
        checks.append(f"many values of {header!r} lie outside the bounds of {property} in {fitting}")
    elif stated is None and canonical != NO_UNIT and not checks:
        checks.append(f"column {header!r} names no unit: {fitting} is the property's own")
    return fitting, checks


def _is_convertible(unit: str, to: str) -> bool:
    import numpy as np

    from matstrata.schemas.units import convert  # deferred: 0.3 s, and only where a unit is stated

    try:
        convert(np.zeros(1), unit, to)
    except InputError:
        return False
    return True


def _inside(numbers_in_unit: Sequence[float], unit: str, property: str) -> bool:
    import numpy as np

    from matstrata.schemas.units import convert

    declared = get_property(property)
    values = np.array(numbers_in_unit)
    if not len(values):
        return True
    if unit != declared.unit:
        values = convert(values, unit, declared.unit)
    return bool(np.mean((values >= declared.lower) & (values <= declared.upper)) >= _INSIDE_SHARE)
