"""The errors that learning raises. Nothing else belongs here."""

from matstrata.schemas.errors import InputError


class LearningError(InputError):
    """The samples cannot be learned from as they are; the message says what to change."""


class LeakageError(LearningError):
    """A model would be judged on what it has seen: a split separates a group, or a model knows the test materials."""


class IntegrityError(LearningError):
    """A saved model is not the file that was recorded, or holds what a model may not hold."""


class TooFewError(LearningError):
    """There is too little to learn from."""
