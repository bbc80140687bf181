import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from helpers.model.baselines import MELI_BASELINES, word_nb
from helpers.report import tracking
from helpers.report.results import load_predictions
from helpers.tasks import STUDIES, meli, meli_studies


@pytest.fixture(autouse=True)
def _sample_only(monkeypatch, tmp_path):
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tracked():
    with tracking.run("test", "row", params={}) as active:
        yield active


def specs(name, **wanted):
    return [s for s in STUDIES[name].specs() if all(s[key] == value for key, value in wanted.items())]


@pytest.fixture
def fitted_on(monkeypatch):
    """The texts that a quick peer is fitted on."""
    seen = []

    def spy():
        pipeline = word_nb()
        fit = pipeline.fit
        pipeline.fit = lambda texts, targets: seen.extend(texts) or fit(texts, targets)
        return pipeline

    monkeypatch.setitem(MELI_BASELINES, "char_sgd", spy)
    return seen


def test_a_peer_learns_from_training_and_validation_and_its_predictions_are_kept(fitted_on, tracked):
    metrics = meli_studies.run_split(specs("meli-models", model="char_sgd", split_seed=1)[0], tracked)
    frame = meli.load()
    parts = meli.split(frame, 1)
    assert set(fitted_on) == set(frame["title"].iloc[np.union1d(parts.train, parts.valid)])
    rows, predicted = load_predictions("meli-models", "char_sgd-1")
    assert rows.tolist() == parts.test.tolist()
    assert metrics["test_balanced_accuracy"] == pytest.approx(balanced_accuracy_score(frame["target"][rows], predicted))


def test_out_of_fold_every_title_is_predicted_by_a_model_that_never_saw_it(fitted_on, tracked):
    frame = meli.load()
    for fold, (_, test) in enumerate(meli.folds(frame)):
        fitted_on.clear()
        meli_studies.run_fold({"model": "char_sgd", "fold": fold}, tracked)
        assert not set(fitted_on) & set(frame["title"].iloc[test])
    everyone, predicted = meli_studies.out_of_fold("char_sgd")
    rows, kept = load_predictions("meli-oof", "char_sgd-fold-3")
    assert everyone.tolist() == list(range(len(frame)))
    assert np.array_equal(predicted[rows], kept)
    assert meli_studies.out_of_fold("char_sgd", [3])[0].tolist() == sorted(rows)


def test_a_network_row_is_the_training_it_names(tracked):
    got = meli_studies.run_split(specs("meli-models", model="mlp", split_seed=2)[0], tracked)
    again = meli.train("mlp", split_seed=2, model_seed=2, **meli_studies.quick()).metrics
    assert {k: v for k, v in got.items() if "seconds" not in k} == {
        k: v for k, v in again.items() if "seconds" not in k
    }


def test_the_learning_curve_trains_on_so_many_titles_and_fewer_get_more_epochs(fitted_on, tracked):
    meli_studies.run_size({"model": "char_sgd", "split_seed": 1, "size": 200}, tracked)
    assert len(fitted_on) == 200
    few, many = (
        meli_studies.run_size({"model": "averaged", "split_seed": 1, "size": size}, tracked) for size in (200, 5_000)
    )
    assert few["epochs"] > many["epochs"] == meli_studies.quick()["epochs"]


@pytest.mark.parametrize("model", ["no_pairs", "char_sgd"])
def test_attempts_never_see_the_test_side_of_split_0(monkeypatch, fitted_on, tracked, model):
    fit = meli.fit

    def spy(config, train, valid, **options):
        fitted_on.extend(train["title"])
        return fit(config, train, valid, **options)

    monkeypatch.setattr(meli, "fit", spy)
    metrics = meli_studies.run_attempt(specs("meli-attempts")[0] | {"model": model}, tracked)
    frame = meli.load()
    parts = meli.split(frame, 0)
    assert 0 <= metrics["valid_balanced_accuracy"] <= 1
    assert set(fitted_on) == set(frame["title"].iloc[parts.train])


def test_the_search_draws_distinct_configurations_the_same_ones_every_time():
    drawn = meli.random_configs(30)
    assert drawn == meli.random_configs(30)
    assert len(set(drawn.values())) == 30
    assert drawn != meli.random_configs(30, seed=1)


def test_a_trial_trains_on_a_tenth_and_watches_the_whole_validation_side(monkeypatch, tracked):
    sides = []
    fit = meli.fit
    monkeypatch.setattr(meli, "fit", lambda c, *frames, **o: sides.append(frames) or fit(c, *frames, **o))
    metrics = meli_studies.run_trial(specs("meli-search")[0], tracked)
    parts = meli.split(meli.load(), 0)
    ((train, valid),) = sides
    assert set(train.index) < set(parts.train)
    assert metrics["train_titles"] == len(train) == pytest.approx(len(parts.train) / 10, abs=1)
    assert valid.index.tolist() == parts.valid.tolist()


def test_five_categories_keep_their_titles_and_get_targets_of_their_own():
    frame = meli.load()
    parts = meli.split(frame, 0)
    few, train, valid = meli_studies.few_categories(frame, parts.train, parts.valid, seed=1)
    assert sorted(few["target"].unique()) == list(range(meli_studies.CATEGORIES_DRAWN))
    chosen = frame["category"].isin(few["category"].unique()).to_numpy()
    assert few["title"].iloc[train].tolist() == frame["title"].iloc[parts.train[chosen[parts.train]]].tolist()
    assert few["title"].iloc[valid].tolist() == frame["title"].iloc[parts.valid[chosen[parts.valid]]].tolist()
    other, _, _ = meli_studies.few_categories(frame, parts.train, parts.valid, seed=2)
    assert set(other["category"]) != set(few["category"])


@pytest.mark.parametrize("subset", ["5 categories", "all"])
def test_transfer_rows_train_on_what_they_name(tracked, subset):
    (spec, *_) = specs("meli-transfer", subset=subset)
    metrics = meli_studies.run_trial(spec, tracked)
    frame = meli.load()
    whole = len(meli.split(frame, 0).train)
    assert metrics["train_titles"] == whole if subset == "all" else metrics["train_titles"] < whole / 2
