import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st

from helpers import settings
from helpers.data.corpora import SchemaError
from helpers.lessons import eda as lesson

LABELS = np.array([0, 0, 0, 0, 1, 1])
PREDICTED = pd.DataFrame(
    {"centroid": [1, 1, 0, 0, 1, 2], "neighbours": [1, 2, 1, 0, 1, 1], "rival": [2, 2, 2, 2, 0, 0]}
)
STRATA = ["agree", "disagree", "one_right", "both_right", "both_right", "one_right"]
ALL = dict.fromkeys(lesson.STRATA, 10)
COMMITTED = settings.ROOT / "results" / "readings" / "meli_ambiguous.csv"


def read(**counts):
    """A table of readings: read(agree=["label", "both"])."""
    return pd.DataFrame([(stratum, j) for stratum, js in counts.items() for j in js], columns=["stratum", "judgement"])


def test_strata_tell_what_the_two_classifiers_did():
    assert lesson.strata(LABELS, PREDICTED).tolist() == STRATA


def test_the_alternative_is_the_wrong_prediction_or_the_rival():
    drawn = lesson.draw_readings(LABELS, PREDICTED, ALL, seed=1).set_index("row").sort_index()
    assert drawn["alternative"].tolist() == [1, 1, 1, 2, 0, 2]
    assert drawn["stratum"].tolist() == STRATA
    assert (drawn["label"].to_numpy() == LABELS).all()


@runs(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(0, 3), st.integers(0, 3))
def test_a_larger_sample_holds_the_smaller_one(seed, small, more):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 60)
    predicted = pd.DataFrame({name: rng.integers(0, 3, 60) for name in ("centroid", "neighbours", "rival")})
    first, second = (
        lesson.draw_readings(labels, predicted, dict.fromkeys(lesson.STRATA, size), seed=seed)
        for size in (small, small + more)
    )
    assert set(first["row"]) <= set(second["row"])
    assert first["row"].is_unique
    assert len(first) <= 4 * small


def test_readings_are_checked(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("row,stratum,label,alternative,judgement\n3,agree,A,B,both\n")
    assert lesson.read_readings(path)["row"].tolist() == [3]
    path.write_text("row,stratum,label,alternative,judgement\n3,agree,A,B,both\n4,agree,A,B,maybe\n")
    with pytest.raises(SchemaError, match=r"r\.csv.*3.*judgement"):
        lesson.read_readings(path)
    path.write_text("row,stratum,label,judgement\n3,agree,A,both\n")
    with pytest.raises(SchemaError, match="alternative"):
        lesson.read_readings(path)


def test_committed_readings_are_whole_and_unique():
    table = lesson.read_readings(COMMITTED)
    assert table["row"].is_unique
    assert table["row"].between(0, 63_679).all()
    assert (table["label"] != table["alternative"]).all()
    assert set(table["stratum"]) == set(lesson.STRATA)


def test_ceiling_weighs_strata_by_their_share_and_judgements_by_their_cost():
    table = read(agree=["alternative"] * 4000, both_right=["label"] * 4000)
    shares = {"agree": 0.2, "both_right": 0.8}
    assert lesson.ceiling(table, shares, seed=1)["mean"] == pytest.approx(0.8, abs=0.002)
    half = read(agree=["both"] * 2000 + ["neither"] * 2000, both_right=["label"] * 4000)
    assert lesson.ceiling(half, shares, seed=1)["mean"] == pytest.approx(0.9, abs=0.002)


def test_ceiling_is_surer_with_more_readings_and_seeded():
    shares = {"agree": 1.0}
    few = lesson.ceiling(read(agree=["label", "both"] * 5), shares, seed=1)
    many = lesson.ceiling(read(agree=["label", "both"] * 500), shares, seed=1)
    assert few["low"] < many["low"] < many["mean"] < many["high"] < few["high"]
    assert few == lesson.ceiling(read(agree=["label", "both"] * 5), shares, seed=1)
