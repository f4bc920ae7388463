"""Methods to compare with the stack on the same rows, each free of leakage by the same rules.

A method is prepared once from the computed sources, blind to every group of the target, then fitted on each training
part. Methods predict values only: intervals, domain and explanations are the stack's. Not here: how methods are
compared (`pipelines.benchmarks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from matstrata.pipelines.learning.methods.delta import Delta
from matstrata.pipelines.learning.methods.interface import HelperData, Method
from matstrata.pipelines.learning.methods.sisso import Sisso
from matstrata.pipelines.learning.methods.transfer import Transfer

METHODS: Mapping[str, Callable[[HelperData], Method]] = MappingProxyType(
    {"delta": Delta.prepare, "transfer": Transfer.prepare, "sisso": Sisso.prepare}
)
