"""SICK: which pairs train and test, how a training is set up, and the model that comes out."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from helpers.data.splits import pair_keys, repeats
from helpers.model import distributed, siamese
from helpers.model.metrics import Calibration, relatedness_metrics, similar_accuracy, similar_threshold
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
    words_of,
)
from tests.recorder import Recorder

QUICK = {"rows": 40, "epochs": 2}
SMALL = {"hidden_size": 6, "head_size": 4, "batch_size": 8}
TINY = replace(DISTRIBUTION, **SMALL, lr=0.02)
SPEED = {"seconds", "iterations_per_second"}
DOGS, CATS = "A dog is running", "Nobody is playing a guitar"
pytestmark = pytest.mark.usefixtures("sample_alone")


def sides(evaluate_on, **options):
    """The pairs of an evaluation, a frame a side."""
    return sick.split(sick.load(), evaluate_on, **options).take(sick.load())


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
    ids = [set(side["pair_id"]) for side in (chosen.train, chosen.valid, chosen.test)]
    assert sum(map(len, ids)) == len(set.union(*ids))
    assert not (chosen.train["partition"] == "test").any()
    assert not (chosen.valid["partition"] == "test").any()
    assert set(chosen.test["partition"]) == {"test"} or not evaluate_on.startswith("test")
    if evaluate_on == "test":
        assert set(chosen.valid["partition"]) == {"trial"}
    else:
        assert len(chosen.valid) == pytest.approx((len(chosen.valid) + len(chosen.train)) / 10, abs=1)


def test_the_folds_cover_train_and_trial_once():
    tested = pd.concat([sides(f"cv{fold}").test for fold in range(5)])
    whole = sides("test")
    assert sorted(tested["pair_id"]) == sorted([*whole.train["pair_id"], *whole.valid["pair_id"]])


def test_few_rows_are_a_stratified_part_of_each_side():
    whole, few = sides("test"), sides("test", rows=40)
    for name in ("train", "valid", "test"):
        part, side = getattr(few, name), getattr(whole, name)
        assert len(part) == 40
        assert set(part["pair_id"]) <= set(side["pair_id"])
        assert part["relatedness"].mean() == pytest.approx(side["relatedness"].mean(), abs=0.25)
    assert sick.load(20)["partition"].value_counts().tolist() == [20, 20, 20]


@pytest.mark.parametrize("evaluate_on", ["test", "trial", "cv3"])
def test_no_pretraining_pair_holds_a_sentence_of_test_or_validation(evaluate_on):
    chosen = sides(evaluate_on)
    found = sick.sts_pairs(sick.load(), chosen)
    assert len(found) > 20
    for part in (sides("test").test, chosen.test, chosen.valid):
        assert not repeats(found, part).any.any()
    assert len(set(pair_keys(found))) == len(found)


def test_only_covered_pairs_are_trained_on():
    chosen = sides("trial")
    table = words_of(TINY, chosen, 0)
    rows = pd.DataFrame({"sentence_a": ["A dog is here", "Qwx zzv"], "sentence_b": ["A dog", "A dog"]})
    rows = rows.assign(similarity=0.5)
    assert covered(rows, table, 0.6)["sentence_a"].tolist() == ["A dog is here"]
    with pytest.raises(ValueError, match="no STS pair has vectors for 90%"):
        covered(rows.iloc[1:], table, 0.9)


def test_augmentation_sees_training_pairs_and_is_told_what_must_stay_unseen():
    calls = []

    def double(training, technique, *, seed, test):
        calls.append((technique, seed, training, test))
        return training.assign(sentence_a="New " + training["sentence_a"], entailment=None)

    config = replace(TINY, augment="first+second")
    found = sick.train(config, model_seed=3, evaluate_on="trial", augment=double, rows=40, epochs=1)
    assert [call[:2] for call in calls] == [("first", 3), ("second", 3)]
    training, hidden = calls[0][2:]
    assert found.metrics["train_pairs"] == 3 * len(training)
    whole = sides("trial", rows=40)
    for part in (whole.test, whole.valid, sides("test").test):
        assert set(part["pair_id"]) <= set(hidden["pair_id"])
    assert not set(training["pair_id"]) & set(hidden["pair_id"])
    assert len(sick.unseen(sick.load(), whole, with_valid=False)) == len(hidden) - len(whole.valid)
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


def test_repeated_pairs_alone_are_left_out_of_the_metrics_without_repeats():
    metrics, test = sick.mean_cosine("glove-840b", evaluate_on="test")
    assert 0 < test["repeated"].sum() < (test["repeated"] | test["both_seen"]).sum()
    new = test[~test["repeated"]]
    found = relatedness_metrics(new["relatedness"], new["prediction"])
    assert metrics["mse_without_repeats"] == pytest.approx(found["mse"])
    assert metrics["mse_without_repeats"] != metrics["mse"]


def test_trained_word_vectors_move_and_frozen_ones_do_not(result):
    trained = sick.train(replace(TINY, freeze=False), model_seed=0, evaluate_on="trial", **QUICK)
    table = words_of(TINY, sides("trial", rows=40), 0)
    before = torch.from_numpy(table.matrix)
    assert not torch.equal(trained.model.network.encoder.embedding.words.weight, before)
    assert torch.equal(result.model.network.encoder.embedding.words.weight, before)


def test_the_loss_is_the_sum_of_its_weighted_parts():
    config, spy = replace(TINY, entailment_weight=0.5, mse_weight=0.25), Recorder()
    chosen = sides("trial", rows=40)
    sick.fit(config, chosen.train, chosen.valid, seed=0, trainer=spy)
    network, batch = spy.network.eval(), next(iter(spy.loaders.valid))
    loss, outputs = spy.step(network, batch)
    vectors = network.vectors(batch)
    entailment = cross_entropy(network.entailment(siamese.symmetric_features(*vectors)), batch.labels)
    error = ((network.similarity(outputs) - batch.targets) ** 2).mean()
    plain = siamese.relatedness_kl_loss(outputs, 1 + 4 * batch.targets)
    assert loss.item() == pytest.approx((plain + 0.5 * entailment + 0.25 * error).item())


@pytest.mark.parametrize("name", ["pairwise", "graded_pairwise", "squared_pairwise", "malstm", "cosine"])
def test_losses_of_pairs_are_those_of_their_names(name):
    spy, config = Recorder(), replace(LOSSES[name], **SMALL)
    frame = sides("trial", rows=40).train
    frame.loc[0, "relatedness"] = config.similar_from  # at the cut a pair is similar
    sick.fit(config, frame, None, seed=0, trainer=spy)
    network, batch = spy.network.eval(), spy.loaders.train.dataset.__getitems__(range(40))
    loss, outputs = spy.step(network, batch)
    y = torch.tensor(frame["relatedness"].to_numpy() - 1, dtype=torch.float32) / 4
    if name in ("malstm", "cosine"):
        wanted = (outputs - y) ** 2
    else:
        y = (torch.tensor(frame["relatedness"].to_numpy()) >= 4.0).float() if name == "pairwise" else y
        power = 2 if name == "squared_pairwise" else 1
        wanted = y * outputs**power + (1 - y) * (config.margin - outputs).clamp(min=0) ** power
    assert loss.item() == pytest.approx(wanted.mean().item(), rel=1e-5)


def test_a_training_is_set_up_as_its_configuration_says():
    config = replace(sick.BEST, **SMALL, weight_decay=0.05, clip=0.6, ema=0.9, patience=3, freeze=False, epochs=6)
    config = replace(config, head_dropout=0.3, pretrain_lr=0.005)
    spy = Recorder()
    sick.train(config, evaluate_on="trial", rows=40, trainer=spy)
    assert len(spy.calls) == 2  # on STS pairs, then on SICK
    before, after = spy.calls
    assert (before["epochs"], after["epochs"]) == (config.pretrain_epochs, 6)
    assert before["loaders"].valid is None
    assert [spy.clip, spy.ema, spy.patience, spy.watch] == [0.6, 0.9, 3, "valid_pearson"]
    (optimizer,) = spy.optimizers
    rest, words = optimizer.param_groups
    assert type(optimizer) is torch.optim.AdamW
    assert (rest["weight_decay"], words["weight_decay"]) == (0.05, 0.0)
    assert words["max_lr"] == pytest.approx(config.vectors_lr * config.lr)
    assert before["optimizers"][0].param_groups[0]["max_lr"] == config.pretrain_lr
    rates = spy.rates()
    assert max(rates) == pytest.approx(config.lr)
    assert rates.index(max(rates)) == pytest.approx(0.1 * len(rates), abs=1)
    assert rates[-1] < 0.02 * config.lr
    assert sorted(spy.dropouts()) == [0.0, config.dropout, config.input_dropout, 0.3, 0.3]


def test_the_last_epoch_is_kept_where_nothing_is_selected():
    spy = Recorder()
    sick.train(replace(TINY, select=False), evaluate_on="trial", rows=40, trainer=spy)
    assert spy.watch == "epoch"


def test_every_stage_runs_on_the_trainer_that_is_passed():
    config = replace(TINY, teachers=2, pretrain=True, rated_lr=0.003, rated_epochs=2)
    spy = Recorder()
    result = sick.train(config, evaluate_on="trial", rows=40, trainer=spy)
    sizes = [len(call["loaders"].train.dataset) for call in spy.calls]
    assert sizes[1:3] + sizes[4:] == [40] * 3
    assert sizes[3] == len(result.rated)
    assert spy.calls[3]["optimizers"][0].param_groups[0]["max_lr"] == 0.003
    assert [call["loaders"].valid is None for call in spy.calls] == [True, False, False, True, False]
    with pytest.raises(ValueError, match="without sts"):
        sick.fit(config, result.test, None, seed=0)


def test_on_accelerate_with_one_process_all_stages_give_the_same_numbers(monkeypatch):
    for name, value in {"DEVICE": "cpu", "THREADS": "1", "OMP_NUM_THREADS": "1"}.items():  # start() sets them
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sick, "_pretrainings", {})
    config = replace(TINY, teachers=1, pretrain=True, dropout=0.0, input_dropout=0.0)  # masks are drawn anew
    train = partial(sick.train, config, evaluate_on="trial", rows=40, epochs=1)
    plain = train()
    monkeypatch.setattr(sick, "_pretrainings", {})
    spread = train(trainer=partial(distributed.fit_on, distributed.start(cpu=True)))
    assert plain.metrics | {"train_seconds": 0} == spread.metrics | {"train_seconds": 0}
    assert plain.rated.equals(spread.rated)


def test_a_training_reads_its_own_side_alone_and_calibrates_on_validation(result):
    spy = Recorder()
    trained = sick.train(TINY, evaluate_on="cv1", model_seed=5, trainer=spy)
    chosen = sides("cv1")
    for side, loader in ((chosen.train, spy.loaders.train), (chosen.valid, spy.loaders.valid)):
        texts = list(loader.dataset.distinct)
        pairs = [(texts[a], texts[b]) for a, b in loader.dataset.index.T]
        assert pairs == list(zip(*sick.sentences(side), strict=True))
        assert loader.dataset.targets.tolist() == pytest.approx(((side["relatedness"] - 1) / 4).tolist())
    assert trained.test["pair_id"].tolist() == chosen.test["pair_id"].tolist()
    model, valid = result.model, sides("trial").valid
    raw = model.raw_similarity(*sick.sentences(valid))
    fitted = Calibration.fit(raw, valid["relatedness"], "linear")
    assert model.calibration([0.0, 0.3, 1.0]) == pytest.approx(fitted([0.0, 0.3, 1.0]))
    assert model.threshold == similar_threshold(valid["relatedness"], fitted(raw))


def test_a_saved_model_says_the_same(result, tmp_path):
    loaded = SimilarityModel.load(result.model.save(tmp_path / "model"))
    sentences = [DOGS, CATS, "", "unheard-of Wörter"]
    assert np.array_equal(loaded.encode(sentences), result.model.encode(sentences))
    assert np.array_equal(
        loaded.similarity(sentences, sentences[::-1]), result.model.similarity(sentences, sentences[::-1])
    )
    assert loaded.similar([DOGS], [CATS]) == result.model.similar([DOGS], [CATS])
    assert (loaded.config, loaded.threshold) == (result.model.config, result.model.threshold)


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
