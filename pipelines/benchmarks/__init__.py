"""Public benchmarks: the product's own ensemble, judged on published rows and splits beside published figures."""
