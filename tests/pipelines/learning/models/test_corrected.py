"""Trees that correct a linear model extrapolate along the helpers' predictions, where trees alone cannot."""

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from matstrata.pipelines.learning.models.corrected import fit_corrected


def trees():
    return make_pipeline(SimpleImputer(), ExtraTreesRegressor(30, random_state=0))


def test_a_linear_model_extrapolates_where_trees_do_not():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(300, 4))
    values = 2 * inputs[:, 3] + np.sin(3 * inputs[:, 0]) + 0.05 * rng.normal(size=300)
    inputs[::17, 3] = np.nan
    inside = np.nan_to_num(inputs[:, 3]) < 1
    corrected = fit_corrected(inputs[inside], values[inside], (3, 4), trees())
    alone = trees().fit(inputs[inside], values[inside])
    errors = [np.abs(model.predict(inputs[~inside]) - values[~inside]).mean() for model in (corrected, alone)]
    assert errors[0] < 0.6 * errors[1]
    assert np.isfinite(corrected.predict(np.full((2, 4), np.nan))).all()
