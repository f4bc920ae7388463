"""The refusal of a structure. Not here: the rules' meanings and remedies (`schemas.rules`)."""

from __future__ import annotations

from matstrata.schemas.errors import InputError


class StructureError(InputError):
    """A text that can't be taken as a crystal; `rule_id` names the rule, the message what, where and what to do."""

    def __init__(self, rule_id: str, reason: str) -> None:
        """Hold the rule's id and the sentence."""
        super().__init__(rule_id, reason)  # both, so that the error survives pickling between processes
        self.rule_id = rule_id
        self.reason = reason

    def __str__(self) -> str:
        """The sentence alone."""
        return self.reason


def unreadable(sentence: str) -> StructureError:
    """The commonest refusal: the text does not say where which atoms are."""
    return StructureError("structure.unreadable", sentence)


def shown(text: object, length: int = 40) -> str:
    """A piece of the input in quotes, cut where it would drown the message."""
    word = str(text)
    return repr(word if len(word) <= length else word[: length - 3] + "...")
