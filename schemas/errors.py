"""The two ways in which a request can end badly; every error of Matstrata that a user may meet is one of them.

Not here: rejections. A bad record is data (`schemas.rules`), not an exception.
"""


class InputError(ValueError):
    """The request or its input was wrong: a file, a contract, a setting, a formula. Commands exit with 2."""


class WorkError(RuntimeError):
    """The request was right but the work failed: a check, a full disk, a lock held too long. Commands exit with 1."""
