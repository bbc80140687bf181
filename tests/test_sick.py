from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.data.splits import pair_keys, repeats
from helpers.model.checkpoints import CheckpointError, save_checkpoint
from helpers.model.metrics import relatedness_metrics, similar_accuracy
from helpers.model.networks import num_trainable_parameters
from helpers.tasks import sick
from helpers.tasks.sick import (
    CONFIGS,
    DISTRIBUTION,
    EVALUATIONS,
    LOSSES,
    NAMES,
    RANKING,
    SickConfig,
    SimilarityModel,
    covered,
    sides,
    sts_pairs,
    unseen,
    words_of,
)

QUICK = {"rows": 40, "epochs": 2}
SMALL = {"hidden_size": 6, "head_size": 4, "batch_size": 8}
TINY = replace(DISTRIBUTION, **SMALL, lr=0.02)
SPEED = {"seconds", "iterations_per_second"}
DOGS, CATS = "A dog is running", "Nobody is playing a guitar"
pytestmark = pytest.mark.usefixtures("sample_alone")


@pytest.fixture(scope="module")
def result():
    return sick.train(TINY, model_seed=0, evaluate_on="trial", epochs=2)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_trains_and_scores(name):
    found = sick.train(replace(CONFIGS[name], **SMALL), model_seed=1, evaluate_on="trial", **QUICK)
    assert name in NAMES
    assert found.test["prediction"].between(1, 5).all()
    assert all(np.isfinite(value) for value in found.metrics.values())
    assert found.metrics["parameters"] == num_trainable_parameters(found.model.network)
    assert {"train_loss", "valid_loss", "valid_pearson"} <= set(found.history.frame())
    assert (found.pretraining is not None) == CONFIGS[name].pretrain


def test_metrics_are_those_of_the_pairs_handed_back(result):
    test, metrics = result.test, result.metrics
    said = test["prediction"]
    assert metrics["pearson"] == pytest.approx(relatedness_metrics(test["relatedness"], said)["pearson"])
    assert metrics["mse"] == pytest.approx(((test["relatedness"] - said) ** 2).mean())
    assert metrics["accuracy"] == pytest.approx(similar_accuracy(test["relatedness"], said, result.model.threshold))
    assert metrics["entailment_accuracy"] == pytest.approx((test["entailment"] == test["entailment_prediction"]).mean())
    new = test[~test["repeated"]]
    without = relatedness_metrics(new["relatedness"], new["prediction"])
    assert metrics["pearson_without_repeats"] == pytest.approx(without["pearson"])
    training = sides("trial").train
    assert test["repeated"].tolist() == repeats(test, training).pair.tolist()
    assert said.tolist() == pytest.approx(result.model.similarity(*sick.sentences(test)).tolist(), abs=1e-5)


def test_it_learns_its_training_pairs():
    config = replace(TINY, dropout=0.0, input_dropout=0.0, select=False)
    found = sick.train(config, model_seed=0, evaluate_on="trial", epochs=6)
    course = found.history.frame()
    assert course["train_pearson"].iloc[-1] > 0.8 > course["train_pearson"].iloc[0]
    assert course["train_loss"].iloc[-1] < course["train_loss"].iloc[0]


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    config = replace(TINY, pretrain=True, unknown="random")
    first, again, other = (sick.train(config, model_seed=s, evaluate_on="trial", rows=40, epochs=1) for s in (1, 1, 2))
    for name, tensor in first.model.network.state_dict().items():
        assert torch.equal(tensor, again.model.network.state_dict()[name])
    assert first.test["similarity"].equals(again.test["similarity"])
    assert not first.test["similarity"].equals(other.test["similarity"])


@pytest.mark.parametrize("evaluate_on", EVALUATIONS)
def test_no_pair_stands_on_two_sides_and_none_of_the_test_trains(evaluate_on):
    chosen = sides(evaluate_on)
    ids = [set(part["pair_id"]) for part in chosen]
    assert sum(map(len, ids)) == len(set.union(*ids))
    assert not (chosen.train["partition"] == "test").any()
    assert not (chosen.held["partition"] == "test").any()
    assert set(chosen.judged["partition"]) == {"test"} or not evaluate_on.startswith("test")
    if evaluate_on == "test":
        assert set(chosen.held["partition"]) == {"trial"}


def test_the_folds_cover_train_and_trial_once():
    judged = pd.concat([sides(f"cv{fold}").judged for fold in range(5)])
    whole = sides("test")
    assert sorted(judged["pair_id"]) == sorted([*whole.train["pair_id"], *whole.held["pair_id"]])


@pytest.mark.parametrize("evaluate_on", ["test", "trial", "cv3"])
def test_no_pretraining_pair_holds_a_sentence_that_judges(evaluate_on):
    chosen = sides(evaluate_on)
    found = sts_pairs(chosen)
    assert len(found) > 20
    for part in (sides("test").judged, chosen.judged, chosen.held):
        assert not repeats(found, part).any.any()
    assert len(set(pair_keys(found))) == len(found)


def test_only_covered_pairs_are_trained_on():
    chosen = sides("trial")
    table = words_of(TINY, chosen, None, 0)
    rows = pd.DataFrame({"sentence_a": ["A dog is here", "Qwx zzv"], "sentence_b": ["A dog", "A dog"]})
    rows = rows.assign(similarity=0.5)
    assert covered(rows, table, 0.6)["sentence_a"].tolist() == ["A dog is here"]
    with pytest.raises(ValueError, match="no STS pair has vectors for 90%"):
        covered(rows.iloc[1:], table, 0.9)


def test_augmentation_sees_training_pairs_and_is_told_what_must_stay_unseen():
    met = []

    def double(training, technique, *, seed, test):
        met.append((technique, seed, training, test))
        return training.assign(sentence_a="New " + training["sentence_a"], entailment=None)

    config = replace(TINY, augment="first+second")
    found = sick.train(config, model_seed=3, evaluate_on="trial", augment=double, rows=40, epochs=1)
    assert [call[:2] for call in met] == [("first", 3), ("second", 3)]
    training, hidden = met[0][2:]
    assert found.metrics["train_pairs"] == 3 * len(training)
    whole = sides("trial", rows=40)
    for part in (whole.judged, whole.held, sides("test").judged):
        assert set(part["pair_id"]) <= set(hidden["pair_id"])
    assert not set(training["pair_id"]) & set(hidden["pair_id"])
    assert len(unseen(whole, with_held=False)) == len(hidden) - len(whole.held)
    for given_config, function in ((config, None), (TINY, double)):
        with pytest.raises(ValueError, match="name the techniques there"):
            sick.train(given_config, model_seed=0, evaluate_on="trial", augment=function, **QUICK)


def test_training_on_the_held_out_pairs_leaves_them_in_and_calibrates_nothing():
    config = replace(TINY, train_on_held=True, select=False, calibration="none")
    found = sick.train(config, model_seed=0, evaluate_on="test", **QUICK)
    assert found.metrics["train_pairs"] == 80
    assert found.model.threshold == 3.5
    assert found.model.calibration([0.0, 1.0]).tolist() == [1, 5]
    assert "valid_loss" not in found.history.frame()


@pytest.mark.parametrize("name", [RANKING, "best"])
def test_a_training_that_was_interrupted_tells_its_past_as_it_was(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path))
    monkeypatch.setenv("CHECKPOINT_SECONDS", "1e-6")
    train = partial(sick.train, replace(CONFIGS[name], **SMALL, pretrain=False), model_seed=1, evaluate_on="trial")

    def cut(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(rows=40, epochs=3, on_epoch=cut)
    resumed, whole = [], []
    for rows in (resumed, whole):
        train(rows=40, epochs=3, on_epoch=rows.append)
    resumed, whole = ([{k: v for k, v in row.items() if k not in SPEED} for row in rows] for rows in (resumed, whole))
    assert len(whole) == 3
    assert resumed == whole


def test_the_reference_without_training_is_a_cosine():
    metrics, test = sick.mean_cosine("glove-840b", evaluate_on="trial")
    assert metrics["pearson"] > 0.2
    assert test["similarity"].between(-1, 1).all()
    assert {"spearman", "mse", "accuracy", "entailment_accuracy", "pearson_without_repeats"} <= set(metrics)


def test_trained_word_vectors_move_and_frozen_ones_do_not(result):
    trained = sick.train(replace(TINY, freeze=False), model_seed=0, evaluate_on="trial", **QUICK)
    table = words_of(TINY, sides("trial", rows=40), None, 0)
    before = torch.from_numpy(table.matrix)
    assert not torch.equal(trained.model.network.encoder.embedding.words.weight, before)
    assert torch.equal(result.model.network.encoder.embedding.words.weight, before)


def test_entailment_helps_to_train_where_it_is_given_a_weight():
    plain, helped = (
        sick.train(replace(TINY, entailment_weight=weight), model_seed=0, evaluate_on="trial", **QUICK)
        for weight in (0.0, 1.0)
    )
    assert plain.model.network.entailment is None
    assert helped.history.rows[0]["train_loss"] > plain.history.rows[0]["train_loss"]


def test_a_saved_model_says_the_same(result, tmp_path):
    loaded = SimilarityModel.load(result.model.save(tmp_path / "model"))
    sentences = [DOGS, CATS, "", "unheard-of Wörter"]
    assert np.array_equal(loaded.encode(sentences), result.model.encode(sentences))
    assert np.array_equal(
        loaded.similarity(sentences, sentences[::-1]), result.model.similarity(sentences, sentences[::-1])
    )
    assert loaded.similar([DOGS], [CATS]) == result.model.similar([DOGS], [CATS])
    assert (loaded.config, loaded.threshold) == (result.model.config, result.model.threshold)


def test_the_model_of_another_task_is_refused(tmp_path):
    save_checkpoint(tmp_path / "model", {"w": torch.zeros(1)}, {"task": "sms"})
    with pytest.raises(CheckpointError, match="no sick model"):
        SimilarityModel.load(tmp_path / "model")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.text(max_size=100), second=st.text(max_size=100))
def test_any_two_texts_have_a_symmetric_similarity_whatever_stands_beside(result, first, second):
    alone = result.model.similarity(first, second)
    assert 1 <= alone <= 5
    assert result.model.similarity(second, first) == pytest.approx(alone, abs=1e-4)
    beside = result.model.similarity([first, DOGS], [second, CATS])
    assert beside[0] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("sentence", ["", "?!", "qwxz vvbn", "dog " * 1000, "a" * 5000, "😀\n\0"])
def test_odd_sentences_are_encoded(result, sentence):
    vectors = result.model.encode([sentence, DOGS])
    assert vectors.shape == (2, 12)
    assert np.isfinite(vectors).all()
    assert 1 <= result.model.similarity(sentence, DOGS) <= 5


def test_no_sentences_no_vectors(result):
    assert result.model.encode([]).shape == (0, 12)
    assert result.model.similarity([], []).shape == (0,)


def test_what_is_no_sentence_is_named(result):
    with pytest.raises(TypeError, match="sentence 1 is NoneType"):
        result.model.encode([DOGS, None])
    with pytest.raises(TypeError, match="one string where a list"):
        result.model.encode(DOGS)
    with pytest.raises(ValueError, match="1 first sentences, but 2"):
        result.model.similarity([DOGS], [DOGS, CATS])


def test_unknown_names_and_contradictions_are_refused():
    with pytest.raises(ValueError, match="configuration 'bert' is not one of"):
        sick.train("bert", model_seed=0, evaluate_on="trial")
    with pytest.raises(ValueError, match="evaluate_on='cv9' is not one of"):
        sick.train("malstm", model_seed=0, evaluate_on="cv9")
    with pytest.raises(ValueError, match="loss 'hinge' is not one of"):
        SickConfig(loss="hinge")
    with pytest.raises(ValueError, match="train_on_held leaves nothing"):
        SickConfig(train_on_held=True)
    with pytest.raises(ValueError, match="triplets carry no scores"):
        replace(LOSSES["triplet"], select=True)
    with pytest.raises(ValueError, match="word_dropout has no word"):
        SickConfig(averaged=True, word_dropout=0.1)
