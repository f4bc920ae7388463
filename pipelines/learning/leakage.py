"""The errors that learning raises, and the check that no model was trained on a group on which it is tested.

Not here: how groups are kept together in splits (`splits`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from matstrata.schemas.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LearningError(InputError):
    """The samples cannot be learned from as they are; the message says what to change."""


class LeakageError(LearningError):
    """A model would be tested on what it was trained on: a split separates a group, or a helper saw a test material."""


class IntegrityError(LearningError):
    """A saved model is not the file that was recorded, or it contains a type that model files may not contain."""


class TooFewError(LearningError):
    """There is too little data to learn from."""


def fingerprints(names: NDArray[np.str_]) -> NDArray[np.uint64]:
    """Hash (n,) names to (n,) 64-bit integers.

    A collision among the 40,000 groups of a large source has a probability of about 1 in 10^10.
    """
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names.tolist())
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def check_blind(name: str, trained_groups: NDArray[np.uint64], group_ids: NDArray[np.str_]) -> None:
    """Check that a model was trained on none of some groups.

    Args:
        name: What the message calls the model.
        trained_groups: (g,) fingerprints of the groups that it was trained on.
        group_ids: (n,) groups that it must not have seen.

    Raises:
        LeakageError: The model was trained on at least one of them; the message names one.
    """
    names = np.unique(group_ids)
    seen = names[np.isin(fingerprints(names), trained_groups)]
    if seen.size:
        raise LeakageError(
            f"{name} was trained on {seen.size} groups of the target, such as {seen[0]}; "
            "train it again with exclude_groups set to the target's group_ids"
        )
