"""Small models for the jobs of tests that ask what is made, not how good it is.

Python imports this module when it starts, in each process in whose PYTHONPATH this folder is: the command, the UI's
daemon and its runs. It gives a few constants of learning smaller values as soon as their modules are imported; all else
is as users have it. Not here: which jobs are small (`tests.end_to_end.conftest`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

SMALL = {
    "matstrata.pipelines.learning.models.candidates": {"FOREST_TREES": 15},
    "matstrata.pipelines.learning.models.network": {"HIDDEN": (32, 24, 16), "MIN_STEPS": 100},
    "matstrata.pipelines.learning.stack.level1": {"FOREST_TREES": 15},
}
TREES, LEARNING_RATE = 40, 0.2  # of boosting, instead of 200 and 0.1


class SmallModels(MetaPathFinder):
    """Finds the modules of SMALL as they are, and changes their constants once they are executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in SMALL:
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        spec = next(spec for finder in finders if (spec := finder.find_spec(fullname, path, target)) is not None)
        execute = spec.loader.exec_module

        def execute_small(module: ModuleType) -> None:
            execute(module)
            for name, value in SMALL[fullname].items():
                assert hasattr(module, name), f"{fullname} has no {name} any more"
                setattr(module, name, value)
            for name in ("DEEP", "SHALLOW"):
                if hasattr(module, name):
                    depth = getattr(module, name).depth
                    setattr(module, name, module.Size(trees=TREES, depth=depth, learning_rate=LEARNING_RATE))

        spec.loader.exec_module = execute_small
        return spec


sys.meta_path.insert(0, SmallModels())
