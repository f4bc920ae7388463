"""Methods beside the stack, to be compared with it on the same rows: each leak-free by the same rules.

A method is taught once from the computed sources, blind to every group of the target, then fitted on each training
part. They predict values only: intervals, domain and reasons are the stack's. Not here: how methods are compared
(`pipelines.benchmarks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from matstrata.pipelines.learning.methods.delta import Delta
from matstrata.pipelines.learning.methods.interface import Lessons, Method
from matstrata.pipelines.learning.methods.sisso import Sisso
from matstrata.pipelines.learning.methods.transfer import Transfer

METHODS: Mapping[str, Callable[[Lessons], Method]] = MappingProxyType(
    {"delta": Delta.taught, "transfer": Transfer.taught, "sisso": Sisso.taught}
)
