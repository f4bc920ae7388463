"""When assets are materialized automatically: when their code has changed, or the data they are made of.

Not here: schedules and sensors (`pipelines.defs.jobs`, `pipelines.defs.inbox`).
"""

from typing import Any

import dagster as dg

_Condition = Any  # the operators of Dagster's conditions are typed for checks and assets mixed, which no asset accepts

_data: _Condition = dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
_news: _Condition = dg.AutomationCondition.code_version_changed() | dg.AutomationCondition.any_deps_match(_data)
_busy: _Condition = dg.AutomationCondition.any_deps_in_progress() | dg.AutomationCondition.in_progress()

# `eager()` reruns what is below an asset that produced the same data, and misses changes of code.
WHEN_CHANGED: _Condition = _news.since_last_handled() & ~dg.AutomationCondition.any_deps_missing() & ~_busy
