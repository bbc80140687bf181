from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.data.corpora import load_sick
from helpers.report import tracking
from helpers.report.results import predictions_path
from helpers.tasks import STUDIES, sick, sick_studies
from helpers.tasks.sick import ATTEMPTS, CONFIGS, EVALUATIONS, FINALISTS, LOSSES, NAMES, RANKING
from helpers.tasks.studies import row_key

SICK = ("sick-cv", "sick-models", "sick-augment")


@pytest.fixture(autouse=True)
def _sample_only(monkeypatch, tmp_path):
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def full(monkeypatch):
    """The rows of profile full, and trainings in miniature none the less."""
    monkeypatch.setenv("PROFILE", "full")


@pytest.fixture
def tracked():
    with tracking.run("test", "row", params={}) as active:
        yield active


@pytest.fixture
def calls(monkeypatch):
    """Stands in for the training; holds its calls."""
    met = []

    def train(config, **options):
        met.append((config, options))
        frame = pairs_of_test()
        said = np.linspace(1, 5, len(frame)) + options["model_seed"] / 100
        test = frame.assign(prediction=said, similarity=said / 5)
        return SimpleNamespace(metrics={"pearson": 0.5}, test=test, rated=None)

    monkeypatch.setattr(sick, "train", train)
    return met


def pairs_of_test():
    frame = sick.load()
    return sick.split(frame, "test").take(frame).test


def specs(name, **wanted):
    return [s for s in STUDIES[name].specs() if all(s[key] == value for key, value in wanted.items())]


def trainings(name):
    return [spec for spec in specs(name) if spec["model"] not in sick_studies.REFERENCES]


def test_every_row_can_be_trained_is_named_and_stands_once(full):
    for name in SICK:
        rows = specs(name)
        assert len({row_key(spec) for spec in rows}) == len(rows)
        for spec in rows:
            assert spec["evaluate_on"] in EVALUATIONS
            assert spec["model"] in NAMES
            assert spec["model"] in sick_studies.REFERENCES or spec["model"] in CONFIGS


def test_trainings_stay_affordable(full):
    assert len(trainings("sick-cv")) <= 60
    assert len(trainings("sick-models")) <= 45


def test_development_never_sees_the_test(full):
    assert not {spec["evaluate_on"] for spec in specs("sick-cv")} & {"test", "trial"}
    assert {spec["model"] for spec in specs("sick-cv")} >= {*LOSSES, *ATTEMPTS, "best", "best_alone"}


def test_attempts_share_their_folds_with_the_best(full):
    folds = {model: {s["evaluate_on"] for s in specs("sick-cv", model=model)} for model in ("best", *ATTEMPTS)}
    assert all(found == folds["best"] for found in folds.values())
    losses = {frozenset(s["evaluate_on"] for s in specs("sick-cv", model=model)) for model in LOSSES}
    assert len(losses) == 1


def test_on_test_three_seeds_a_row_and_five_the_finalists(full):
    seeds = {}
    for spec in trainings("sick-models"):
        assert spec["evaluate_on"] == "test"
        seeds.setdefault(spec["model"], []).append(spec["model_seed"])
    assert {model for model, found in seeds.items() if len(found) == 5} == set(FINALISTS)
    assert {len(found) for model, found in seeds.items() if model not in FINALISTS} == {3}
    assert set(LOSSES) <= set(seeds)
    assert RANKING in ("pairwise", "triplet")


def test_augmented_rows_have_the_seeds_of_the_row_without(full):
    for technique in sick_studies.AUGMENTATIONS:
        found = [spec["model_seed"] for spec in specs("sick-augment", technique=technique)]
        assert found == [spec["model_seed"] for spec in specs("sick-models", model="best")]


def test_attempts_are_one_step_away_from_the_best():
    for name, config in ATTEMPTS.items():
        changed = [key for key, value in vars(config).items() if value != getattr(sick.BEST, key)]
        assert len(changed) == 1, name


def test_in_quick_a_handful_of_rows_is_left():
    for name in SICK:
        assert 1 <= len(specs(name)) <= 8
        assert len({spec["evaluate_on"] for spec in specs(name)}) == 1


def test_a_row_changes_its_key_with_its_configuration_only(monkeypatch):
    before = {spec["model"]: row_key(spec) for spec in specs("sick-models")}
    monkeypatch.setitem(CONFIGS, "averaged", replace(CONFIGS["averaged"], lr=0.5))
    after = {spec["model"]: row_key(spec) for spec in specs("sick-models")}
    assert {model for model in before if before[model] != after[model]} == {"averaged"}


def test_a_row_trains_what_it_names_where_it_says(calls, tracked):
    spec = {"model": "no_entailment", "evaluate_on": "cv2", "model_seed": 3}
    found = sick_studies.run(spec, tracked)
    assert found["pearson"] == 0.5
    assert found["similarity_mean"] == pytest.approx(3.03 / 5)
    assert found["similarity_std"] > 0.1
    ((config, options),) = calls
    assert config == ATTEMPTS["no_entailment"]
    assert (options["model_seed"], options["evaluate_on"]) == (spec["model_seed"], spec["evaluate_on"])
    assert options["rows"] == sick_studies.quick()["rows"]
    assert "augment" not in options


def test_an_augmented_row_names_its_technique_and_leaves_the_predictions_alone(calls, tracked):
    (spec,) = specs("sick-augment", technique="synonyms")
    path = predictions_path("sick-models", f"best-{spec['model_seed']}")
    path.unlink(missing_ok=True)
    sick_studies.run(spec, tracked)
    ((config, options),) = calls
    assert config == replace(sick.BEST, augment=spec["technique"])
    assert options["augment"] is sick_studies.augment
    assert STUDIES["sick-augment"].describe(spec)["augment"] == spec["technique"]
    assert not path.exists()


def test_what_finalists_say_of_the_test_is_kept_to_a_thousandth(calls, tracked):
    (spec,) = specs("sick-models", model="best_alone")
    sick_studies.run(spec, tracked)
    kept = sick_studies.predictions("best_alone")
    judged = pairs_of_test()
    assert kept.index.tolist() == judged["pair_id"].tolist()
    assert kept.columns.tolist() == [spec["model_seed"]]
    said = np.linspace(1, 5, len(judged)) + spec["model_seed"] / 100
    assert kept[spec["model_seed"]].to_numpy() == pytest.approx(said, abs=1 / sick_studies.SCALE)
    sick_studies.run(specs("sick-models", model="averaged")[0], tracked)
    with pytest.raises(FileNotFoundError, match="make study NAME=sick-models"):
        sick_studies.predictions("averaged")


def test_references_are_scored_without_training(calls, tracked):
    (spec,) = specs("sick-models", model="mean_cosine_glove")
    assert spec["config"] == "reference"
    found = sick_studies.run(spec, tracked)
    assert calls == []
    wanted, _ = sick.mean_cosine("glove-840b", evaluate_on="test", rows=sick_studies.quick()["rows"])
    assert wanted.items() <= found.items()
    assert STUDIES["sick-models"].describe(spec) == {}


def test_a_real_row_trains_and_scores(tracked):
    (spec,) = specs("sick-augment", technique="synonyms")
    found = sick_studies.run(spec, tracked)
    assert -1 <= found["pearson"] <= 1
    plain = len(sick.split(sick.load(), "test", rows=sick_studies.quick()["rows"]).train)
    assert found["train_pairs"] >= plain


def test_what_the_teachers_rated_can_be_read_again(tracked, monkeypatch):
    made, train = [], sick.train
    monkeypatch.setattr(sick, "train", lambda *args, **options: made.append(train(*args, **options)) or made[-1])
    (spec,) = specs("sick-augment", technique=sick_studies.RATED)
    assert sick_studies.configuration(spec) == sick.TAUGHT
    predictions_path("sick-augment", sick_studies.RATED).unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError, match="make study NAME=sick-augment"):
        sick_studies.rated_pairs()
    sick_studies.run(spec, tracked)
    kept, rated = sick_studies.rated_pairs(), made[0].rated
    for column in ("pair_id", "sentence_a", "sentence_b"):
        assert kept[column].tolist() == rated[column].tolist()
    assert kept["relatedness"].to_numpy() == pytest.approx(rated["relatedness"].to_numpy(), abs=1 / sick_studies.SCALE)


def test_lookups_measure_every_treatment_without_training():
    frame = load_sick().query("partition == 'trial'")
    table = sick_studies.lookups(frame).set_index(["vectors", "case", "unknown"])
    assert table.index.is_unique
    assert len(table) == 3 * 5
    assert table[["types_known", "tokens_known"]].apply(lambda column: column.between(0, 1).all()).all()
    same_words = table.query("vectors == 'googlenews' and case == 'fallback'")
    assert same_words["tokens_known"].nunique() == 1
    exact, fallback = (table.loc[("googlenews", case, "zero"), "tokens_known"] for case in ("exact", "fallback"))
    assert exact <= fallback
    reference, _ = sick.mean_cosine("glove-840b", evaluate_on="trial")
    assert table.loc[("glove-840b", "fallback", "zero"), "pearson"] == pytest.approx(reference["pearson_raw"], abs=1e-4)
