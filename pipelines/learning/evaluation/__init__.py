"""How models are judged: protocols, scores, learning curves and permutation importance.

Not here: the models (`pipelines.learning.models`, `pipelines.learning.stack`).
"""
