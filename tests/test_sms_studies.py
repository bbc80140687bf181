import numpy as np
import pytest
from sklearn.metrics import f1_score

from helpers.model.baselines import SMS_BASELINES, char_svm
from helpers.report import tracking
from helpers.tasks import STUDIES, sms, sms_studies


def specs(name, **wanted):
    return [s for s in STUDIES[name].specs() if all(s[key] == value for key, value in wanted.items())]


def test_a_baseline_is_fitted_on_the_training_side_alone(monkeypatch):
    seen = {}
    pipeline = char_svm()
    fit = pipeline.fit
    pipeline.fit = lambda texts, targets: seen.update(texts=set(texts)) or fit(texts, targets)
    monkeypatch.setitem(SMS_BASELINES, "char_svm", lambda: pipeline)
    got = sms_studies.baseline("char_svm", seed=1, rows=300)
    frame = sms.load(300)
    sides = sms.split(frame, 1, valid_share=0).take(frame)
    assert seen["texts"] == set(sides.train["text"])
    test = sides.test
    assert got["f1"] == pytest.approx(f1_score(test["target"], pipeline.predict(test["text"])))


def test_the_ensemble_is_the_mean_of_its_members(monkeypatch):
    members = []
    train = sms.train
    monkeypatch.setattr(sms, "train", lambda *a, **k: members.append(train(*a, **k)) or members[-1])
    got = sms_studies.ensemble(1, {"rows": 200, "epochs": 1})
    assert len(members) == sms_studies.members()
    mean = np.mean([member.test["probability"] for member in members], axis=0)
    assert got["accuracy"] == pytest.approx(((mean >= 0.5) == members[0].test["target"]).mean())
    assert got["parameters"] == sum(member.metrics["parameters"] for member in members)


@pytest.mark.parametrize("model", ["lstm", "char_svm"])
def test_development_folds_never_see_the_test_side_of_split_0(monkeypatch, model):
    read = []
    fit, members = sms.fit, SMS_BASELINES["char_svm"]

    def spy(config, train, valid, **options):
        for side in (train, valid):
            read.extend([] if side is None else side["text"])
        return fit(config, train, valid, **options)

    def watched():
        pipeline = members()
        train = pipeline.fit
        pipeline.fit = lambda texts, targets: read.extend(texts) or train(texts, targets)
        return pipeline

    monkeypatch.setattr(sms, "fit", spy)
    monkeypatch.setitem(SMS_BASELINES, "char_svm", watched)
    with tracking.run("test", "fold", params={}) as tracked:
        (spec, *_) = specs("sms-attempts", model=model)
        assert 0 <= sms_studies.run_fold(spec, tracked)["f1"] <= 1
    frame = sms.load(sms_studies.quick()["rows"])
    sides = sms.split(frame, 0).joined().take(frame)
    assert 0.7 * len(sides.train) < len(set(read)) < len(sides.train)
    assert set(read) < set(sides.train["text"])


def test_rows_run_on_the_split_and_seed_they_name():
    (spec, *_) = specs("sms-grouped", model="lstm", split_seed=2)
    with tracking.run("test", "row", params={}) as tracked:
        got = sms_studies.run_row(spec, tracked)
    again = sms.train("lstm", split_seed=2, model_seed=2, kind="grouped", **sms_studies.quick())
    assert got["f1"] == again.metrics["f1"]
    assert got["valid_loss"] == again.metrics["valid_loss"]


def test_a_row_changes_its_key_with_its_configuration_only(monkeypatch):
    before = {s["model"]: s["config"] for s in STUDIES["sms-models"].specs()}
    monkeypatch.setitem(sms.CONFIGS, "lstm", sms.replace(sms.CONFIGS["lstm"], hidden_size=81))
    after = {s["model"]: s["config"] for s in STUDIES["sms-models"].specs()}
    assert {model for model in before if before[model] != after[model]} == {"lstm"}
