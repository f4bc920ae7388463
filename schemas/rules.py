"""Every rule by which a record can be refused or a source be stopped: stable id, meaning, example, remedy.

The table in `docs/rules.md` is generated from here. Not here: the code that applies a rule.
"""

from __future__ import annotations

import sys
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
    Rule("formula.unknown_element", "a symbol is not an element", "'GaAs0.1P0.9G1128'", "correct the symbol"),
    Rule(
        "formula.amount_out_of_range",
        "an amount is zero, negative or absurdly large",
        "'GaAs0.1P0.9Ga1128'",
        "correct the amount, or raise the contract's max_amount",
    ),
    Rule("formula.charged", "the formula carries a charge", "'SO4^2-'", "give the neutral compound"),
    Rule("formula.variable_amount", "an amount is a variable", "'Li1-xCoO2'", "give the number that x stands for"),
    Rule("formula.dopant_notation", "a dopant is given without its amount", "'ZnO:Al'", "write Zn0.98Al0.02O"),
    Rule(
        "smiles.syntax", "the text is not the SMILES of a molecule", "'C1CC'", "correct it; RDKit says where it fails"
    ),
    Rule(
        "composition.contradiction",
        "formula and structure of the record name different compositions",
        "NaCl with a structure of KCl",
        "correct one of the two",
    ),
    Rule(
        "structure.unreadable",
        "the text does not say which atoms are where",
        "a loop_ with 6 columns and 5 values; species 'X'",
        "correct what the sentence names; give CIF, pymatgen JSON, OPTIMADE attributes or POSCAR",
    ),
    Rule("structure.empty", "the structure holds no atoms", "'', or no full site", "give at least one occupied site"),
    Rule(
        "structure.overlapping_sites",
        "two full sites are nearer than 0.5 angstrom",
        "Na at 0 0 0 and Cl at 0 0 0.01",
        "check coordinates, cell and unit; give occupancies to atoms that share a place",
    ),
    Rule(
        "structure.occupancy",
        "the occupancies of a site sum to more than 1.05, or one is negative or not a number",
        "Y 0.9 and Ca 0.7 on one site",
        "correct the occupancies; sums up to 1.05 are scaled to 1",
    ),
    Rule(
        "structure.not_periodic",
        "the structure is not a crystal with three periodic directions",
        "a slab, a molecule as XYZ, a modulated CIF",
        "none: only crystals have a cell; for a modulated one give an approximant",
    ),
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
    Rule("record.malformed", "the record can't be read", "a row with too many cells", "correct the record in the file"),
    Rule(
        "record.undecodable",
        "the record's bytes are not text in the contract's encoding",
        "a Latin-1 file read as UTF-8",
        "set options.encoding",
    ),
    Rule(
        "order.unreadable",
        "what the policy newest orders by is not a time",
        "'03/04/2020'",
        "write 2020-04-03, or state the contract's reconcile.format",
    ),
    Rule(
        "order.undecided",
        "a year, month or day that holds another time of the same material: neither is the newer",
        "2020 next to 2020-05-31",
        "state the day of both, or the year of both",
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

_WARNINGS = (
    Rule(
        "formula.suffix",
        "the formula carries a trailing number, taken for a space group and kept in the conditions",
        "'AgCNO,65'",
        "give the space group in a column of its own",
    ),
    Rule(
        "value.zero_class",
        "the value is the zero that stands for a class of materials",
        "band_gap = 0 of a metal",
        "none: but a zero that stands for 'unknown' should be a missing value",
    ),
    Rule(
        "structure.assumed",
        "something had to be assumed to read the structure; its row in the table says what",
        "occupancies that sum to 1.02",
        "compare with the file, and correct it",
    ),
)

WARNINGS: Mapping[str, Rule] = MappingProxyType({rule.rule_id: rule for rule in _WARNINGS})

_TABLE_RULES = (
    Rule(
        "table.columns",
        "the columns are those of the table, no more and no fewer",
        "no column 'unit'",
        "make the columns those of schemas/tables.py",
    ),
    Rule("table.not_empty", "there is at least one observation", "every record refused", "see the source's rejections"),
    Rule("table.required", "a column that every observation fills has no nulls", "a null unit", "fill the column"),
    Rule(
        "table.unique_observations", "no observation_id occurs twice", "the same id twice", "correct how ids are made"
    ),
    Rule("table.one_source", "all observations are of the contract's source", "another source", "correct the column"),
    Rule("table.known_properties", "only the contract's properties occur", "a band gap", "add it to its values"),
    Rule("table.canonical_units", "each property is in its canonical unit", "meV", "convert with schemas.units"),
    Rule(
        "table.plausible_unit",
        "the median of a property lies where medians of that property lie",
        "a band gap of 2,559 eV",
        "check the contract's unit: the values may be in another",
    ),
    Rule(
        "table.row_count",
        "the source has at least half, and at most twice, the observations of its last refresh",
        "10,000 rows, then 12",
        "if the change is meant, run 'matstrata sources add CONTRACT --accept-change'",
    ),
    Rule(
        "table.distribution",
        "the median of a property lies within the middle 80 % of its values at the last refresh",
        "a column that was swapped",
        "if the change is meant, run 'matstrata sources add CONTRACT --accept-change'",
    ),
    Rule(
        "table.every_property",
        "each property of the contract is reported at least once",
        "an empty column",
        "check the contract's values: column names and spellings of 'missing'",
    ),
)

TABLE_RULES: Mapping[str, Rule] = MappingProxyType({rule.rule_id: rule for rule in _TABLE_RULES})


def as_markdown() -> str:
    """The table of all rules: `python -m matstrata.schemas.rules > docs/rules.md`."""
    lines = [
        "# Rules",
        "",
        "Generated from `schemas/rules.py` by `python -m matstrata.schemas.rules > docs/rules.md`.",
        "",
        "A record that breaks a rule is refused whole, and kept in the table `rejections` with rule and sentence:",
        "",
        "```sql",
        "SELECT source, source_record, rule_id, reason, raw FROM rejections",
        "```",
        "",
        *_rows(RULES),
        "",
        "Warnings refuse nothing; an observation carries theirs in the column `flags`:",
        "",
        *_rows(WARNINGS),
        "",
        "Rules on a source as a whole stop it before it replaces good data; `table.every_property` only warns.",
        "Their results are in the table `validations`.",
        "",
        *_rows(TABLE_RULES),
        "",
    ]
    return "\n".join(lines)


def _rows(rules: Mapping[str, Rule]) -> list[str]:
    head = ["| rule | meaning | example | what to do |", "|---|---|---|---|"]
    return head + [f"| `{r.rule_id}` | {r.meaning} | {r.example} | {r.remedy} |" for r in rules.values()]


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
