"""Figures of the preparation: they show the numbers given."""

import numpy as np
import pandas as pd

from helpers.data.text import STEPS
from helpers.lessons.preprocessing import STEP_LABELS, coverage, padding, step_effects


def test_every_step_has_a_label():
    assert list(STEP_LABELS) == [name for name, _ in STEPS]


def test_step_effects_draws_a_bar_per_step_first_at_the_top():
    _, axes = step_effects(pd.DataFrame({"tokens": [3000, 1500], "distinct": [800, 400]}, index=["uno", "dos"]))
    assert [bar.get_width() for bar in axes[0, 0].patches] == [3.0, 1.5]
    assert [bar.get_width() for bar in axes[0, 1].patches] == [0.8, 0.4]
    assert axes[0, 0].yaxis_inverted()


def test_coverage_ends_at_the_share_of_known_tokens():
    _, ax = coverage([5, 2, 1], {"entrenamiento": [5, 2, 1, 0], "test": [2, 1, 0, 1]})
    ends = {line.get_label(): line.get_ydata()[-1] for line in ax.lines if not line.get_label().startswith("_")}
    assert ends == {"entrenamiento": 100.0, "test": 75.0}
    assert [text.get_text() for text in ax.texts] == ["vistas 2 veces o más: 2", "vistas 5 veces o más: 1"]


def test_padding_shows_tokens_and_padding():
    _, axes = padding({"al azar": [1, 3], "igual": [2, 2]})
    shown = axes[0, 0].images[0].get_array()
    np.testing.assert_array_equal(shown, [[1, 0, 0], [1, 1, 1]])
    assert axes[0, 1].images[0].get_array().all()
