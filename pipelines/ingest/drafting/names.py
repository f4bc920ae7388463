"""What people call things: names of columns -> roles, properties of the vocabulary, units, methods.

The tables here are the one place to extend. Not here: what a value may be (`schemas.properties`), and the file itself
(`pipelines.ingest.drafting.sampling`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matstrata.pipelines.ingest.readers.header_units import BRACKETS, split_unit
from matstrata.schemas.elements import SYMBOLS
from matstrata.schemas.properties import properties

# Words are compared in lower case, cut at everything that is no letter or digit and where "camelCase" turns.
# (names in the vocabulary, the first that exists being taken; pattern of the whole name; pattern inside a file's name)
_SYNONYMS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("homo_lumo_gap",), r"homo lumo( gap)?|h l gap", r"homo lumo"),
    (
        ("band_gap",),
        r"(energy )?band ?gap( ?energy)?|gap|e ?gap|e ?g|eg|energy gap|optical gap|fundamental gap|band ?gap (ind|dir)",
        r"band ?gaps?|e ?gap|gaps?",
    ),
    (
        ("energy_above_hull",),
        r"(e|energy|dist(ance)?) (above )?(the )?hull|e ?hull|hull (distance|energy)|decomposition energy",
        r"e (above )?hull|ehull|above hull|hull",
    ),
    (
        ("formation_energy",),
        r"(e|h|energy|enthalpy) ?f(orm(ation)?)?( per atom)?|form(ation)? (e|energy|enthalpy)( per atom)?|heat all",
        r"e ?form|formation (energy|enthalpy)|ef",
    ),
    (
        ("formation_energy",),
        r"(heat|enthalpy|energy) of formation|delta (e|h)( f)?|dhf?",
        r"(heat|enthalpy) of formation",
    ),
    (("energy_per_atom",), r"(total )?energy per atom|e per atom", r"energy per atom"),
    (
        ("bulk_modulus",),
        r"bulk mod(ulus)?( vrh)?|k vrh|kvrh|k hill",
        r"bulk mod(ulus)?|k ?vrh",
    ),
    (("shear_modulus",), r"shear mod(ulus)?( vrh)?|g vrh|gvrh|g hill", r"shear mod(ulus)?|g ?vrh"),
    (("young_modulus",), r"young ?s? mod(ulus)?|elastic mod(ulus)?", r"young ?s? mod(ulus)?"),
    (("poisson_ratio",), r"poisson ?s?( ratio)?", r"poisson"),
    (("yield_strength",), r"(tensile )?yield (strength|stress)|ys|sigma y|rp0 2", r"yield( strength)?"),
    (("tensile_strength",), r"(ultimate )?tensile strength|uts", r"tensile strength"),
    (("hardness",), r"(vickers )?hardness|hv", r"hardness"),
    (("is_metal",), r"is metal(lic)?|metal(lic)?", r"is metal"),
    (("glass_forming_ability",), r"gfa|glass forming ability|is glass", r"glass|gfa"),
    (
        ("phonon_peak",),
        r"(last )?ph(onon )?dos peak|phonon (peak|frequency)|max(imum)? phonon frequency",
        r"phonons?|phdos",
    ),
    (
        ("refractive_index",),
        r"n|refractive ind(ex|ices)|ref(r)? index|n d|index of refraction",
        r"refractive ind(ex|ices)|matbench( \w+)? dielectric",
    ),
    (
        ("dielectric_constant_electronic",),
        r"(poly|e|eps(ilon)?|diel\w*( constant)?) ?(electronic|el|inf(inity)?|infty)|electronic dielectric constant",
        r"electronic dielectric",
    ),
    (
        ("dielectric_constant_total",),
        r"(poly|e|eps(ilon)?|diel\w*( constant)?) ?(total|static|0|r)|(static )?dielectric constant|permittivity",
        r"dielectric constant",
    ),
    (("volume_per_atom",), r"vpa|vol(ume)? per atom|atomic volume", r"volume per atom"),
    (("exfoliation_energy",), r"exfoliation (en(ergy)?)", r"exfoliation"),
    (
        ("hydration_free_energy", "solvation_free_energy"),
        r"(hydration|solvation) free energy|free ?solv|delta g (solv|hyd)|dg ?(solv|hyd)",
        r"free ?solv|(hydration|solvation) free energy",
    ),
    (
        ("log_solubility",),
        r"log ?s|log sol(ubility)?|(measured )?log solubility( in)?( mols? per lit(re|er))?|esol|aq\w* solubility",
        r"delaney|esol|solubility",
    ),
    (("log_partition_coefficient",), r"c?log ?[pd]|log ?kow|x ?log ?p", r"lipophilicity|log ?p"),
    (("critical_temperature",), r"t ?c|critical temp(erature)?", r"supercon\w*|3dsc"),
    (("melting_temperature",), r"t ?m|melting (point|temp(erature)?)", r"melting"),
    (("density",), r"(mass )?density", r"density"),
    (("thermal_conductivity",), r"(lattice )?thermal conductivity|kappa( l)?", r"thermal conductivity"),
    (("electrical_conductivity",), r"(electrical |ionic )?conductivity|sigma", r"conductivity"),
    (("seebeck_coefficient",), r"seebeck( coefficient)?|thermopower", r"seebeck"),
    (("power_factor",), r"power factor|pf", r"power factor"),
    (("figure_of_merit",), r"zt|figure of merit", r"figure of merit"),
    (("seebeck_coefficient_p",), r"s p|seebeck p", r"seebeck p"),
    (("seebeck_coefficient_n",), r"s n|seebeck n", r"seebeck n"),
    (("electrical_conductivity_over_tau_p",), r"sigma p", r"sigma p"),
    (("electrical_conductivity_over_tau_n",), r"sigma n", r"sigma n"),
    (("electronic_thermal_conductivity_over_tau_p",), r"kappa p", r"kappa p"),
    (("electronic_thermal_conductivity_over_tau_n",), r"kappa n", r"kappa n"),
    (("power_factor_over_tau_p",), r"pf p", r"pf p"),
    (("power_factor_over_tau_n",), r"pf n", r"pf n"),
    (("effective_mass_p",), r"m p", r"effective mass p"),
    (("effective_mass_n",), r"m n", r"effective mass n"),
    (("magnetic_moment",), r"mu b|(total )?mag(netic)?( moment|netization)?|magmom", r"magneti\w+"),
)

# A column that a data set names misleadingly, by a word of the file's name: what it truly is.
_MISNOMERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"delaney|esol", r"log ?p|logp", ("log_solubility",)),
    (r"qm9", r"gap", ("homo_lumo_gap",)),
)

# Data whose values look like a property of the vocabulary and are another quantity: a word of the file's name, why.
_ALIENS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        r"castelli|matbench perovskites",
        ("formation_energy",),
        "formation energy per cell of five atoms (eV per cell), not per atom",
    ),
)

MISSING = (
    "", "-", "--", "—", "–", "?", "na", "n/a", "n.a.", "n.a", "#n/a", "nan", "-nan", "none", "null", "nil", "missing",
    "unknown", "not available", "nd", "n.d.", "<na>", "inf", "-inf", "#div/0!", "#value!", "#ref!", "#num!", "*",
)  # fmt: skip
"""Spellings of "no value", in lower case."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_METHODS = _set(
    "pbe pbesol gga hse hse06 hse03 scan r2scan gllb gllbsc tbmbj mbj lda gw g0w0 ks qp b3lyp pbe0 optb88 optb88vdw "
    "opt expt exp experimental experiment measured mp oqmd aflow jarvis icsd dft calc calculated computed "
    "indirect direct ind dir"
)
_MEASURED = _set("expt exp experiment experiments experimental experimentally measured")
_COMPUTED = _METHODS - _MEASURED - {"indirect", "direct", "ind", "dir", "icsd", "opt"} | _set(
    "vasp theory theoretical computation castelli qm9 cdvae crabnet"
)

_GENERIC = re.compile(
    r"(target|value|values|y|label|labels|property|prop|measured|result|output|measurement|actual)( \d+)?"
)
_PREDICTED = re.compile(r"\b(pred|predicted|prediction|predictions|std|err|error|uncertainty|sigma pred|ref)\b")
_COUNTS = re.compile(
    r"(n ?(sites?|atoms?|elements?|types?)|nelem\w*|num .*|number .*|count|z|space ?group.*|sg|sgnum|spg|fold|year|"
    r"nperiodic dimensions|version|index|unnamed.*|a|b|c|alpha|beta|gamma|volume|vol|lattice.*|seed|split|rank|charge|"
    r"step|level.*)"
)
_TEMPERATURE = re.compile(r"(temp(erature)?|t|meas\w* temp\w*|t meas\w*)( k(elvin)?)?")
_REFERENCE = re.compile(r"(doi|dois|reference|references|ref|refs|citation|bibtex|source doi|paper|publication)( url)?")

# best first; the whole name
_FORMULA = (
    r"formula",
    r"pretty formula|formula pretty",
    r"chemical formula reduced",
    r"reduced formula|formula reduced( abc)?",
    r"compositions?",
    r"chemical formula( \w+)?",
    r"compounds?",
    r"full formula|formula \w+|\w+ formula",
    r"chemical composition|comp|chem(ical)?|stoichiometry|materials?|compound name|sample composition",
)
_NOT_FORMULA = re.compile(
    r".*\b(anonymous|chem ?sys(tem)?|space ?group|pearson|prototype|protostructure|elements?|atom|cation|anion|site|"
    r"symmetry|distortion|dopant|substrate|phase|type|smiles|[ab] \d|wyckoff)\b.*"
)
_SMILES = re.compile(r".*\bsmiles?\b.*")
_IDENTIFIER = (
    r"material id|mat id",
    r"id",
    r"mp ?id|mb ?id|task id|entry id|cod ?id|icsd ?id|oqmd ?id|jid|jvasp|auid",
    r"\w+ id|id \w+",
    r"identifier",
    r"(sample|specimen|record|entry)( (name|id|no|number))?|(sample|record) \w+",
    r"index|name",
)

_GREEK = str.maketrans(
    {
        "σ": "sigma",
        "κ": "kappa",
        "ε": "eps",
        "ρ": "rho",
        "μ": "mu",
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "δ": "delta",
    }
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_LOGARITHM = re.compile(r"\b(log|log10|ln|lg)\b")


@dataclass(frozen=True, slots=True)
class PropertyGuess:
    """What a column of numbers may report.

    Attributes:
        property: its name in the vocabulary, or None.
        doubt: why there is none, or what speaks against it; empty where nothing does.
        method: the word for a method in the column's name.
        generic: the name says nothing ("target"), so that the file's name was asked.
    """

    property: str | None
    doubt: str
    method: str | None = None
    generic: bool = False


def words(text: str) -> str:
    """The words of a name, in lower case, with a blank between two."""
    spelt = unicodedata.normalize("NFKD", _CAMEL.sub(" ", text.strip())).lower().translate(_GREEK)
    return " ".join(re.split(r"[^a-z0-9]+", spelt)).strip()


def element_columns(headers: Sequence[str]) -> frozenset[str]:
    """Columns that hold amounts of elements: where several are called after elements, "n" is nitrogen."""
    called = frozenset(header for header in headers if words(header).capitalize() in SYMBOLS)
    return called if len(called) >= 4 else frozenset()


def guess_property(header: str, context: Sequence[str]) -> PropertyGuess:
    """What a column reports, by its name, and where that says nothing by the names of file and folders.

    Args:
        header: the column's name.
        context: names of the file and of the folders around it, the nearest first.
    """
    bare = split_unit(header)[0]
    if not _LOGARITHM.search(words(bare)):
        bare = BRACKETS.sub("", bare) or bare  # "(fit=standard)"
    name = _last(bare)
    said = [word for word in name.split() if word in _METHODS]
    method = " ".join(said) or None
    core = " ".join(word for word in name.split() if word not in _METHODS)
    if _PREDICTED.search(name):
        return PropertyGuess(None, "a prediction or an error, not a value")
    for hint, pattern, names in _MISNOMERS:
        if re.fullmatch(pattern, core) and any(re.search(hint, words(place)) for place in context):
            return _known(names, method, f"in spite of its name, this data set holds {names[0]}")
    log = _LOGARITHM.search(name) is not None
    for names, whole, _ in _all_synonyms():
        if re.fullmatch(whole, name) or (core and re.fullmatch(whole, core)):
            for hint, meant, reason in _ALIENS:
                if names == meant and any(re.search(rf"\b({hint})\b", words(place)) for place in context):
                    return PropertyGuess(None, reason, method, generic=True)
            return _known(names, method, "")
        if log and re.search(rf"\b({whole})\b", re.sub(_LOGARITHM, " ", name).strip()):
            return PropertyGuess(None, f"a logarithm of {names[0]}: add a column of the values themselves", method)
    if not core or _GENERIC.fullmatch(core):
        return _by_context(method, context)
    return PropertyGuess(None, "", method)


def _by_context(method: str | None, context: Sequence[str]) -> PropertyGuess:
    # the file and its folder also as one: "matbench_csv/dielectric" says what neither says alone
    places = [*context[:1], " ".join(reversed(context[:2])), *context[2:]]
    for place in places:
        said = words(place)
        for hint, _, reason in _ALIENS:
            if re.search(rf"\b({hint})\b", said):
                return PropertyGuess(None, reason, method, generic=True)
        for names, _, inside in _all_synonyms():
            if re.search(rf"\b({inside})\b", said):
                if _LOGARITHM.search(said):
                    reason = f"a logarithm of {names[0]}: add a column of the values themselves"
                    return PropertyGuess(None, reason, method, generic=True)
                known = _known(names, method, f"its own name says nothing, but {place!r} suggests {names[0]}")
                return PropertyGuess(known.property, known.doubt, method, generic=True)
    return PropertyGuess(None, "its name does not say what it is", method, generic=True)


def _known(names: Sequence[str], method: str | None, doubt: str) -> PropertyGuess:
    there = next((name for name in names if name in properties()), None)
    lacking = f"looks like {names[0]}, which the vocabulary (schemas/properties.yaml) lacks"
    return PropertyGuess(there, doubt if there else lacking, method)


def _all_synonyms() -> list[tuple[tuple[str, ...], str, str]]:
    """Ours, and the vocabulary's own names and titles."""
    own = [
        ((name,), f"{re.escape(words(name))}|{re.escape(words(declared.title))}", re.escape(words(name)))
        for name, declared in properties().items()
    ]
    return [*own, *_SYNONYMS]


def is_count(header: str) -> bool:
    """Whether a column's name says that its numbers are no property: counts, lattice parameters, folds."""
    name = _last(header)
    return not name or _COUNTS.fullmatch(name) is not None


def is_temperature(header: str) -> bool:
    """Whether the column holds the temperature of a measurement."""
    return _TEMPERATURE.fullmatch(words(header)) is not None


def is_reference(header: str) -> bool:
    """Whether the column says where a record is from."""
    return _REFERENCE.fullmatch(words(header)) is not None


def is_smiles(header: str) -> bool:
    """Whether the column's name says SMILES."""
    return _SMILES.fullmatch(words(header)) is not None


def formula_rank(header: str) -> int | None:
    """How much a column's name sounds like formulas: 0 is best, None not at all, -1 surely none."""
    name = _last(header)
    if _NOT_FORMULA.fullmatch(name):
        return -1
    return next((rank for rank, pattern in enumerate(_FORMULA) if re.fullmatch(pattern, name)), None)


def identifier_rank(header: str) -> int | None:
    """How much a column's name sounds like an identifier: 0 is best, None not at all."""
    name = _last(header)
    return next((rank for rank, pattern in enumerate(_IDENTIFIER) if re.fullmatch(pattern, name)), None)


def guess_kind(texts: Sequence[str]) -> str | None:
    """Whether names speak of measurements or of computations; None where they say nothing, or both."""
    said = {word for text in texts for word in words(text).split()}
    measured, computed = bool(said & _MEASURED), bool(said & _COMPUTED)
    return None if measured == computed else "experiment" if measured else "computation"


def _last(header: str) -> str:
    """The words of a name, of a dotted one ("data.e_above_hull") those behind the last dot."""
    parts = header.split(".")
    # "S.n" is no path: letters mean something together only
    dotted = len(parts[-1]) > 2 and all(part[:1].isalpha() or part.startswith("_") for part in parts)
    return words(parts[-1] if dotted else header) or words(header)


OTHER_SCALES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "eV": ("meV",),
        "eV/atom": ("meV/atom",),
        "GPa": ("MPa", "kbar", "Pa"),
        "MPa": ("Pa",),
        "1/cm": ("1/m",),
        "uV/K": ("nV/K",),
    }
)
"""Units in which values are found that don't fit into a property's bounds in its own unit."""
