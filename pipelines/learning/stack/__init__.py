"""The stacked ensemble: inputs, level-1 models, meta-learner, prediction intervals and applicability domain.

Not here: the single models (`pipelines.learning.models`), and how all are evaluated (`pipelines.learning.evaluation`).
"""
