"""python -m helpers train sick, predict sick: what reaches the layers below and what is printed."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.__main__ import main
from helpers.data.batching import SentenceReader
from helpers.data.text import Vocabulary
from helpers.tasks import sick, sms
from helpers.tasks.sick import SimilarityModel


@pytest.fixture(autouse=True)
def _sample_only(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)


@pytest.fixture
def trainings(monkeypatch):
    """Stands in for the training; holds the calls and the folders saved to."""
    calls, saved = [], []

    def train(config, **options):
        calls.append((config, options))
        model = SimpleNamespace(save=lambda folder: folder.mkdir(parents=True) or saved.append(folder) or folder)
        return SimpleNamespace(metrics={"pearson": 0.875, "parameters": 14000}, model=model)

    monkeypatch.setattr(sick, "train", train)
    return SimpleNamespace(calls=calls, saved=saved)


def test_train_scores_the_best_configuration_on_test(trainings, tmp_path, capsys):
    assert main(["train", "sick", "--model-seed", "3", "--save", str(tmp_path / "model")]) == 0
    assert trainings.calls == [("best", {"model_seed": 3, "evaluate_on": "test"})]
    assert trainings.saved == [tmp_path / "model"]
    out = capsys.readouterr().out
    assert "sick: 300 pairs, SYNTHETIC SAMPLE" in out
    lines = [line.split() for line in out.splitlines()[-3:]]
    assert lines == [["model", "3"], ["pearson", "0.8750"], ["parameters", "14000"]]


def test_train_for_development_judges_elsewhere(trainings):
    assert main(["train", "sick", "--config", "triplet", "--evaluate-on", "cv1"]) == 0
    assert trainings.calls == [("triplet", {"model_seed": 0, "evaluate_on": "cv1"})]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train sick --split-seed 1", "--split-seed belongs to sms and meli"),
        ("train sick --grouped", "--grouped belongs to sms"),
        ("train sms --evaluate-on trial", "--evaluate-on belongs to sick"),
    ],
)
def test_options_of_another_task_are_refused(monkeypatch, trainings, capsys, command, words):
    monkeypatch.setattr(sms, "train", lambda *a, **k: pytest.fail("trained"))
    assert main(command.split()) == 1
    assert_one_line(capsys, words)
    assert trainings.calls == []


@pytest.mark.parametrize(
    ("option", "words"), [("--config bert", "'bert' is not one of"), ("--evaluate-on cv9", "'cv9' is not one of")]
)
def test_unknown_names_are_one_line(capsys, option, words):
    assert main(["train", "sick", *option.split()]) == 1
    assert_one_line(capsys, words)


def test_predict_compares_two_by_two(monkeypatch, capsys):
    model = SimpleNamespace(
        similarity=lambda first, second: np.array([4.25, 1.5])[: len(first)],
        similar=lambda first, second: np.array([True, False])[: len(first)],
        reader=SentenceReader(Vocabulary(["a", "dog"])),
    )
    monkeypatch.setattr(SimilarityModel, "load", lambda folder: model)
    assert main(["predict", "sick", "--model", "m", "a dog", "a puppy", "a dog", ""]) == 0
    unknown = "      unknown to the model, so the answer may be far off: puppy"
    lines = ["4.25  similar      a dog | a puppy", unknown, "1.50  not similar  a dog | "]
    assert capsys.readouterr().out.splitlines() == lines


def test_predict_of_an_odd_number_or_without_a_model_is_one_line(tmp_path, capsys):
    assert main(["predict", "sick", "--model", str(tmp_path), "a", "b", "c"]) == 1
    assert_one_line(capsys, "3 are given")
    assert main(["predict", "sick", "--model", str(tmp_path / "none"), "a", "b"]) == 1
    assert_one_line(capsys, "model.safetensors is missing")


def assert_one_line(capsys, *parts):
    err = "".join(x for x in capsys.readouterr().err.splitlines(keepends=True) if "sample stands in" not in x)
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
