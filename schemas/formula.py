"""The notation of chemical formulas: text becomes exact amounts of elements, or a refusal that says why.

Here: tokens, brackets, hydrates, and the notations that are recognized in order to be refused (charges, variables,
dopants). Not here: what the amounts mean afterwards and the fast path for plain formulas (`schemas.composition`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NoReturn

from matstrata.schemas.elements import SYMBOLS
from matstrata.schemas.errors import InputError

Amount = int | Fraction
"""Exact; the int is there because most amounts are one and Fraction takes ten times as long."""

LONGEST_FORMULA = 1000
"""Characters; a longer text is not a formula but, say, a paragraph in the wrong column."""

_CHARACTERS = str.maketrans(
    {
        **{chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)},  # Ｆｅ２Ｏ３, from East Asian keyboards
        **{subscript: str(digit) for digit, subscript in enumerate("₀₁₂₃₄₅₆₇₈₉")},
        **dict.fromkeys("•∙⋅・‧●◦∘･˙*＊∗×✕", "·"),
        **dict.fromkeys("−–—‐‑", "-"),
        # invisible: they come with copied text
        **dict.fromkeys("\xad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u2066\u2069\ufeff", " "),
        "⁄": "/",
    }
)
"""One character for one, so that a position in the tidied text is a position in the text as written."""

_VULGAR = {"½": "5", "¼": "25", "¾": "75"}
_NUMBER = r"[0-9]*[½¼¾]|[0-9]{1,3}/[1-9][0-9]{0,2}|[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
_TOKEN = re.compile(
    rf"(?P<element>[A-Z][a-z]?)|(?P<number>{_NUMBER})|(?P<open>[(\[{{])|(?P<close>[)\]}}])|(?P<join>·|\.(?=\s*[A-Z(\[{{]))"
)
_PARTNER = {"(": ")", "[": "]", "{": "}"}
_SPACE_GROUP = re.compile(r"\s*,\s*([0-9]{1,3})$")
# In CuSO4.5H2O and CaSO4.0.5H2O the (first) dot stands for the dot of a hydrate; in K0.5H2O it can't, as K0 is nothing.
# MgCl2.6NH3 likewise.
_HYDRATE_DOT = re.compile(
    rf"([A-Za-z)\]}}]\s*(?:0+\.[0-9]+|[1-9][0-9]*(?:\.[0-9]+)??)?)\s*\.(?=\s*(?:{_NUMBER})?\s*(?:[HDT]2O|N[HD]3)$)"
)
# In Al2O3.2SiO2.2H2O, and in 3Al2O3.2SiO2, the dot after an oxide's oxygen is hardly a decimal point.
_OXIDE_DOT = re.compile(r"O[0-9]*\.[1-9](?=\s*[A-Z(\[{])")
_JOIN_DOT = re.compile(r"\.(?=\s*[A-Z(\[{])")
_VARIABLE = re.compile(r"[-+±]?\s*[0-9.]*\s*([δ∂ε±ₓ]|[nmuvwxyz](?![a-z]))|[-+±]\s*(d|delta)(?![a-z])")
_PREFIX = re.compile(r"\s*[a-zα-ω]+-[A-Z(\[{]")
_NEGATIVE = re.compile(r"-\s*[0-9.]+\s*[A-Z(\[{]")
_MASS_NUMBER = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+[A-Z]")
_ISOTOPE = re.compile(r"[(\[{]\s*[0-9]+[A-Z][a-z]?\s*[)\]}]")
# Hg(I)2 is an iodide; Cu(I)2O is not.
_OXIDATION_STATE = re.compile(r"(?:(?<=[A-Za-z0-9])|(?<=[A-Za-z0-9]\s))\((?:I{2,3}|IV|VI{1,3}|[IV](?!\)\s*[0-9]+$))\)")
_SET_APART = re.compile(r"\S+\s+([0-9]{2,3}|[0-9]*\.[0-9]+)$")
_CHARGE = re.compile(r"\^|[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]|\+(?!\s)|-[-0-9]*\s*(?:$|[)\]}·,])")


class FormulaError(InputError):
    """A text that can't be taken as a composition; `rule_id` names the rule, the message says where and what to do."""

    def __init__(self, rule_id: str, reason: str) -> None:
        """Hold the rule's id and the sentence."""
        super().__init__(rule_id, reason)  # both, so that the error survives pickling between processes
        self.rule_id = rule_id
        self.reason = reason

    def __str__(self) -> str:
        """The sentence alone."""
        return self.reason


@dataclass(slots=True)
class _Scope:
    """The text between a bracket and its partner: finished addends (as in CaO·SiO2) and the one being read."""

    bracket: str
    position: int
    total: dict[str, Amount] = field(default_factory=dict)
    addend: dict[str, Amount] = field(default_factory=dict)
    coefficient: Amount | None = None  # the 5 of 5H2O

    def finish_addend(self) -> None:
        _add(self.total, self.addend, self.coefficient or 1)
        self.addend, self.coefficient = {}, None


def read_amounts(text: str) -> tuple[dict[str, Amount], int | None]:
    """Read any formula that people write, exactly.

    Args:
        text: A formula, with brackets, decimals, hydrates and a trailing `,<space group number>` as they come.

    Returns:
        Amount of each element as written (positive, not reduced), and the space group number if one was given.

    Raises:
        FormulaError: The text is not a formula, or is one whose amounts are not known.
    """
    tidy = text.translate(_CHARACTERS).rstrip()
    if not tidy.strip():
        raise FormulaError("formula.empty", "The formula is empty: give the composition, like Fe2O3.")
    if not any(map(str.isalpha, tidy)):
        _refuse("formula.syntax", text, 0, "it names no element; give the composition, like Fe2O3")
    if len(tidy) > LONGEST_FORMULA:
        _refuse("formula.syntax", text, LONGEST_FORMULA, f"a formula has at most {LONGEST_FORMULA} characters")
    if ":" in tidy:
        _refuse(
            "formula.dopant_notation", text, tidy.index(":"), "give the dopant's amount, like Zn0.98Al0.02O for ZnO:Al"
        )
    space_group, end = None, len(tidy)
    if (suffix := _SPACE_GROUP.search(tidy)) and 1 <= int(suffix[1]) <= 230:
        space_group, end = int(suffix[1]), suffix.start()
    _refuse_misleading(text, tidy[:end])
    joined = _HYDRATE_DOT.sub(_with_middle_dot, tidy[:end], count=1)
    is_sum = joined != tidy[:end] or joined.lstrip()[0].isdigit() or _JOIN_DOT.search(joined)
    if is_sum and (oxide := _OXIDE_DOT.search(joined)):
        dot = joined.index(".", oxide.start())
        _refuse("formula.syntax", text, dot, "this dot may join two compounds or be a decimal point; to join, write ·")
    return _read_scopes(text, joined), space_group


def _refuse_misleading(text: str, tidy: str) -> None:
    """Refuse what would parse, as another composition than the one that is meant."""
    if isotope := _ISOTOPE.search(tidy):
        what = f"{isotope[0]} names an isotope or a polytype, which have no notation here; leave it out"
        _refuse("formula.syntax", text, isotope.start(), what)
    if state := _OXIDATION_STATE.search(tidy):
        _refuse(
            "formula.charged", text, state.start(), f"{state[0]} is an oxidation state, not an element; leave it out"
        )
    if number := _SET_APART.fullmatch(tidy.strip()):
        what = f"join the number to its element, or write ',{number[1]}' if it is the space group"
        if "." in number[1]:
            what = f"{number[1]} stands apart; join it to its element, or put it into a column of its own"
        _refuse("formula.syntax", text, tidy.rindex(number[1]), what)


def _read_scopes(text: str, tidy: str) -> dict[str, Amount]:
    scopes = [_Scope("", 0)]
    item: dict[str, Amount] | None = None  # an element or a bracket's content that an amount may still follow
    position = 0
    for token in _tokens(text, tidy):
        kind, word, position = token.lastgroup, token[0], token.start()
        scope = scopes[-1]
        if kind == "number":
            amount = _number(word)
            if amount == 0:
                _refuse("formula.amount_out_of_range", text, position, "an amount is zero; leave out what is not there")
            if item is not None:
                _add(scope.addend, item, amount)
                item = None
            elif scope.addend or scope.coefficient:
                _refuse("formula.syntax", text, position, "a number follows a number; put · before the 5 of 5H2O")
            else:
                scope.coefficient = amount
            continue
        if item is not None:
            _add(scope.addend, item, 1)
            item = None
        if kind == "element":
            item = {_symbol(text, word, position): 1}
        elif kind == "open":
            scopes.append(_Scope(word, position))
        elif not scope.addend:
            number = kind == "close" and scope.coefficient is not None
            alone = "brackets hold elements; leave out a number that stands alone in them" if number else ""
            _refuse("formula.syntax", text, position, alone or f"an element should stand before {word!r}")
        elif kind == "join":
            scope.finish_addend()
        else:
            if _PARTNER.get(scope.bracket) != word:
                _refuse(
                    "formula.syntax", text, position, f"{word!r} closes no bracket that was opened; check the brackets"
                )
            scope.finish_addend()
            item = scopes.pop().total
    scope = scopes[-1]
    if len(scopes) > 1:
        _refuse(
            "formula.syntax", text, scope.position, f"the bracket {scope.bracket!r} is never closed; check the brackets"
        )
    if item is not None:
        _add(scope.addend, item, 1)
    if not scope.addend:
        _refuse("formula.syntax", text, position, "the formula ends where an element should follow")
    scope.finish_addend()
    return scope.total


def _tokens(text: str, tidy: str) -> list[re.Match[str]]:
    tokens = []
    position = 0
    while position < len(tidy):
        if tidy[position].isspace():
            position += 1
        elif token := _TOKEN.match(tidy, position):
            tokens.append(token)
            position = token.end()
        else:
            _refuse_notation(text, tidy, position)
    return tokens


def _with_middle_dot(match: re.Match[str]) -> str:
    return match[0][:-1] + "·"


def _number(word: str) -> Amount:
    """The exact value of a decimal or of a fraction (1/3); a vulgar fraction is added to the integer before it (4½)."""
    if word.isdecimal():
        return int(word)
    vulgar = _VULGAR.get(word[-1])
    return Fraction(f"{word[:-1] or '0'}.{vulgar}") if vulgar else Fraction(word)


def _add(total: dict[str, Amount], item: dict[str, Amount], times: Amount) -> None:
    for symbol, amount in item.items():
        total[symbol] = total.get(symbol, 0) + amount * times


def _symbol(text: str, symbol: str, position: int) -> str:
    if symbol not in SYMBOLS:
        if symbol[0] in SYMBOLS and symbol[1:] in {"x", "y", "z"}:
            _refuse("formula.variable_amount", text, position + 1, f"give the number that {symbol[1]!r} stands for")
        _refuse("formula.unknown_element", text, position, f"{symbol!r} is not an element; correct the symbol")
    return symbol


def _refuse_notation(text: str, tidy: str, position: int) -> NoReturn:
    """Say why reading stopped at a character that starts no token."""
    character, before = tidy[position], tidy[:position].rstrip()[-1:]
    if not before and _PREFIX.match(tidy):
        _refuse("formula.syntax", text, position, "a formula has no prefix; give the phase in a column of its own")
    if variable := _VARIABLE.match(tidy, position):
        _refuse(
            "formula.variable_amount", text, position, f"give the number that {variable[1] or variable[2]!r} stands for"
        )
    if _NEGATIVE.match(tidy, position):
        if before.isdigit() or before in _PARTNER.values():  # 0.7BaTiO3-0.3SrTiO3, Fe0.9-1.0O
            what = "'-' can't stand here; join compounds by ·, and give one number for a range"
            _refuse("formula.syntax", text, position, what)
        what = "an amount is negative; correct it, or, of an alloy like Ti-6Al-4V, give amounts of atoms"
        _refuse("formula.amount_out_of_range", text, position, what)
    if _MASS_NUMBER.match(tidy, position):
        _refuse("formula.syntax", text, position, "of isotopes only D and T have a notation here; give the element")
    if _CHARGE.match(tidy, position):
        _refuse("formula.charged", text, position, "a charge is not part of a composition; give the neutral compound")
    if character == ",":
        _refuse("formula.syntax", text, position, _about_comma(tidy, position))
    if character.isalpha() and not character.isascii():  # a Cyrillic О looks like an O
        what = f"{character!r} is {unicodedata.name(character, 'no Latin letter')}; write elements in Latin letters"
        _refuse("formula.syntax", text, position, what)
    _refuse("formula.syntax", text, position, f"{character!r} can't stand here; write it like Fe2O3 or Ca(OH)2")


def _about_comma(tidy: str, position: int) -> str:
    """What to do about a comma that precedes no space group."""
    if re.match(r",\s*[A-Z]", tidy[position:]):  # Pb(Zr,Ti)O3
        return "no comma stands between elements; give each its amount, like Pb(Zr0.52Ti0.48)O3"
    if re.match(r"[0-9],[0-9]+\s*[A-Z(]", tidy[max(position - 1, 0) :]):
        return "write decimals with a point, like Cu1.8S"
    return "only a space group number from 1 to 230, at the end, may follow a comma"


def _refuse(rule_id: str, text: str, position: int, what: str) -> NoReturn:
    raise FormulaError(rule_id, f"Formula {quoted(text)}, character {position + 1}: {what}.")


def quoted(text: str) -> str:
    """The formula in quotes, cut where it would drown the message."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
