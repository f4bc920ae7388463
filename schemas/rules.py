"""Every rule by which a record can be refused: stable id, meaning, example, remedy.

The table in `docs/rules.md` is generated from here. Not here: the code that applies a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Rule:
    """Why a record can be refused, and what its owner can do about it."""

    rule_id: str
    meaning: str
    example: str
    remedy: str


_RULES = (
    Rule("formula.empty", "the record has no formula", "''", "give the composition"),
    Rule("formula.syntax", "the text is not a chemical formula", "'Fe2(O3'", "write it like Fe2O3 or Ca(OH)2"),
    Rule("formula.unknown_element", "a symbol is no element", "'GaAs0.1P0.9G1128'", "correct the symbol"),
    Rule(
        "formula.amount_out_of_range",
        "an amount is zero, negative or absurdly large",
        "'GaAs0.1P0.9Ga1128'",
        "correct the amount, or raise the contract's max_amount",
    ),
    Rule("formula.charged", "the formula carries a charge", "'SO4^2-'", "give the neutral compound"),
    Rule("formula.variable_amount", "an amount is a variable", "'Li1-xCoO2'", "give the number that x stands for"),
    Rule("formula.dopant_notation", "a dopant is given without its amount", "'ZnO:Al'", "write Zn0.98Al0.02O"),
    Rule("value.missing", "no value column holds a value", "'' or 'None'", "drop the record, or fill the value"),
    Rule(
        "value.not_a_number",
        "a value is not a finite number",
        "'ca. 3'",
        "give the number alone, in the unit of the contract",
    ),
    Rule(
        "value.out_of_bounds",
        "a value lies outside the bounds of its property",
        "band_gap = -3 eV",
        "check value and unit; bounds are in schemas/properties.yaml",
    ),
    Rule("temperature.not_positive", "the temperature is not a positive number of kelvin", "-5 K", "give kelvin"),
    Rule(
        "kind.unknown",
        "the record's kind is neither experiment nor computation",
        "'theory'",
        "use one of the two words",
    ),
    Rule("conditions.malformed", "the conditions are not a JSON object", "'300 K'", 'write {"temperature": 300}'),
    Rule(
        "record.duplicate",
        "the record repeats an earlier one of the same source",
        "the same id twice",
        "drop one; or, where repeats are independent measurements, say replicates: keep",
    ),
    Rule("record.malformed", "the record can't be read", "a row with too many cells", "mend the record in the file"),
    Rule(
        "record.undecodable",
        "the record's bytes are not text in the contract's encoding",
        "a Latin-1 file read as UTF-8",
        "set options.encoding",
    ),
    Rule(
        "optics.out_of_range",
        "the data do not reach the wavelength asked for",
        "an infrared table, at 589.3 nm",
        "none: the value was not measured there",
    ),
    Rule(
        "optics.only_extinction",
        "the file holds the extinction coefficient alone",
        "'tabulated k'",
        "none: there is no refractive index in it",
    ),
    Rule(
        "optics.unknown_form",
        "the dispersion form is not one of the database's nine",
        "'formula 12'",
        "check the file's DATA type",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.rule_id: rule for rule in _RULES})
