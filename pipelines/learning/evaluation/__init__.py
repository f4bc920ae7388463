"""How models are evaluated: protocols, scores, learning curves and permutation importance.

Not here: the models (`pipelines.learning.models`, `pipelines.learning.stack`).
"""
