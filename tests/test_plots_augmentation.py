import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers import settings
from helpers.augment.techniques import TECHNIQUES
from helpers.data.corpora import SchemaError
from helpers.lessons import augmentation as lesson
from helpers.model.metrics import paired_difference

COMMITTED = settings.ROOT / "results" / "readings"


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def arm(technique, pearson, mse=0.3):
    return pd.DataFrame(
        {"technique": technique, "model_seed": range(1, len(pearson) + 1), "pearson": pearson, "mse": mse}
    )


def test_readings_are_checked(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("source_pair_id,detail,acceptable,note\n7,b: kids -> children,1,\n8,a: x -> y,0,no se dice\n")
    table = lesson.read_pairs(path)
    assert table["acceptable"].tolist() == [True, False]
    assert table["note"].tolist() == ["", "no se dice"]
    path.write_text("source_pair_id,detail,acceptable,note\n7,b: kids -> children,1,\n8,a: x -> y,yes,\n")
    with pytest.raises(SchemaError, match=r"r\.csv.*3.*acceptable"):
        lesson.read_pairs(path)
    path.write_text("source_pair_id,detail,note\n7,b: kids -> children,\n")
    with pytest.raises(SchemaError, match="acceptable"):
        lesson.read_pairs(path)


@pytest.mark.parametrize("technique", [*TECHNIQUES, "rated"])
def test_committed_readings_hold_fifty_pairs_of_each_technique(technique):
    table = lesson.read_pairs(COMMITTED / f"augmentation_{technique}.csv")
    assert len(table) == 50
    assert (table.loc[~table["acceptable"], "note"] != "").all()  # who refuses says why


def test_a_rated_pair_is_known_again_whatever_its_order_and_none_of_its_words_is_written():
    rated = pd.DataFrame({"sentence_a": ["A dog runs"], "sentence_b": ["A cat runs"], "relatedness": [3.456]})
    turned = rated.rename(columns={"sentence_a": "sentence_b", "sentence_b": "sentence_a"})
    other = rated.assign(sentence_b="A cat sits")
    said, again, different = (lesson.as_read(frame).item() for frame in (rated, turned, other))
    assert said == again != different
    assert re.fullmatch("[0-9a-f]{12}: 3.46", said)


def test_accepted_shares_have_an_interval_around_them():
    readings = {"few": pd.DataFrame({"acceptable": [True, True, False]}), "all": pd.DataFrame({"acceptable": [True]})}
    table = lesson.accepted_shares(readings)
    assert table["accepted"].tolist() == [2, 1]
    assert table["share"].tolist() == pytest.approx([2 / 3, 1])
    assert ((table["low"] < table["share"]) & (table["share"] <= table["high"] + 1e-9)).all()
    assert table["low"].min() > 0


def test_effects_are_differences_of_the_same_seed():
    plain = arm("none", [0.80, 0.84, 0.82])
    better = arm("synonyms", [0.83, 0.85, 0.85]).iloc[::-1]  # the order of rows does not matter
    table = lesson.paired_effects(pd.concat([better, arm("deletion", [0.8])]), plain, ["pearson", "mse"])
    row = table.loc[("synonyms", "pearson")]
    expected = paired_difference([0.83, 0.85, 0.85], [0.80, 0.84, 0.82], test_share=0.0)
    assert row["delta"] == pytest.approx(7 / 300)
    assert row[["low", "high", "p"]].tolist() == pytest.approx([expected[name] for name in ("low", "high", "p")])
    assert row["low"] < row["delta"] < row["high"]
    assert table.loc[("synonyms", "mse"), "delta"] == 0
    one = table.loc[("deletion", "pearson")]
    assert one["seeds"] == 1
    assert one["delta"] == 0
    assert np.isnan(one["low"])
    assert table.index.get_level_values("technique").unique().tolist() == ["synonyms", "deletion"]


def test_an_arm_without_a_common_seed_is_refused():
    with pytest.raises(ValueError, match=r"synonyms: none of its seeds \[1\]"):
        lesson.paired_effects(arm("synonyms", [0.8]), arm("none", [0.8, 0.9]).iloc[1:], ["pearson"])


def test_effects_are_drawn_with_the_first_technique_at_the_top():
    plain = arm("none", [0.80, 0.84])
    arms = pd.concat([arm("synonyms", [0.83, 0.85]), arm("all", [0.80, 0.83])])
    table = lesson.paired_effects(arms, plain, ["pearson", "mse"])
    _, axes = lesson.effects(table, {"pearson": "Pearson", "mse": "error cuadrático"})
    assert [tick.get_text() for tick in axes[0, 0].get_yticklabels()] == ["las cinco juntas", "sinónimos"]
    assert [ax.get_xlabel() for ax in axes[0]] == ["Pearson", "error cuadrático"]
    drawn = axes[0, 0].containers[0].lines[0]
    assert drawn.get_xdata().tolist() == pytest.approx([-0.005, 0.02])


def test_effects_of_one_seed_have_no_bars():
    table = lesson.paired_effects(arm("synonyms", [0.9]), arm("none", [0.8]), ["pearson"])
    _, axes = lesson.effects(table, {"pearson": "Pearson"})
    assert axes[0, 0].containers[0].lines[0].get_xdata().tolist() == pytest.approx([0.1])


def test_curves_run_over_steps_and_mark_the_epoch_that_was_kept():
    frame = pd.DataFrame({"train_loss": [3, 2, 1], "valid_loss": [3, 2, 2.5]})
    frame = frame.assign(train_pearson=[0.1, 0.5, 0.9], valid_pearson=[0.1, 0.6, 0.5])
    alone = frame[["train_loss", "train_pearson"]]
    _, axes = lesson.training_curves(
        {"sin aumento": frame, "todas": alone}, {"sin aumento": 10, "todas": 25}, {"loss": "pérdida", "pearson": "r"}
    )
    ax = axes[0, 0]
    assert ax.lines[1].get_xdata().tolist() == [10, 20, 30]
    assert ax.lines[1].get_ydata().tolist() == [3, 2, 2.5]
    assert (ax.lines[2].get_xdata().tolist(), ax.lines[2].get_ydata().tolist()) == ([20], [2])
    assert ax.lines[3].get_xdata().tolist() == [25, 50, 75]
    assert [text.get_text() for text in axes[0, 1].get_legend().get_texts()] == ["sin aumento", "todas"]
