"""SMS: splits, what a training reads and how it is set up, and the model that comes out."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from helpers.data.sources import obtain_or_sample
from helpers.data.vectors import read_vectors
from helpers.model.networks import num_trainable_parameters
from helpers.tasks import sms
from helpers.tasks.sms import BEST, CELLS, CONFIGS, SmsConfig, replace
from tests.recorder import Recorder, rows_of

QUICK = {"rows": 300, "epochs": 3}
MESSAGES = pd.DataFrame({
    "text": [
        "WIN £1000 now, text 80085",
        "see you later at home",
        "call 08712300220 to claim your prize",
        "ok, thanks :)",
    ] * 10,
    "target": [1, 0, 1, 0] * 10,
})  # fmt: skip
TEXTS, TARGETS = MESSAGES["text"].tolist(), MESSAGES["target"].to_numpy()
SIZES = {"hidden_size": 8, "embedding_dim": 8, "dense": 6, "batch_size": 8}
TINY = replace(BEST, **SIZES, epochs=15, anneal=False, activation="tanh", dropout=0.0, feature_dropout=0.0)
pytestmark = pytest.mark.usefixtures("sample_alone")


@pytest.fixture(scope="module")
def spam_model():
    return sms.fit(TINY, MESSAGES, None, seed=0)[0]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_trains_and_scores(name):
    result = sms.train(name, split_seed=1, **QUICK)
    assert len(result.test) == pytest.approx(60, abs=2)
    assert result.test["probability"].between(0, 1).all()
    predicted = result.test["probability"] >= result.model.config.threshold
    assert result.metrics["accuracy"] == pytest.approx((predicted == result.test["target"]).mean())
    assert result.metrics["parameters"] == num_trainable_parameters(result.model.network)
    assert ("valid_f1" in result.metrics) == bool(result.model.config.valid_share)


def test_the_same_seeds_give_the_same_model_and_another_seed_another():
    first, again, other = (sms.train("best", split_seed=1, model_seed=seed, **QUICK) for seed in (None, 1, 2))
    for name, tensor in first.model.network.state_dict().items():
        assert torch.equal(tensor, again.model.network.state_dict()[name])
    assert first.metrics | {"train_seconds": 0} == again.metrics | {"train_seconds": 0}
    assert first.test.index.equals(other.test.index)
    assert not np.array_equal(first.test["probability"], other.test["probability"])


@pytest.mark.parametrize("kind", sms.KINDS)
@pytest.mark.parametrize("name", ["lstm", "best"])
def test_a_training_reads_the_sides_of_its_split_and_nothing_else(kind, name):
    spy = Recorder()
    result = sms.train(name, split_seed=3, model_seed=8, kind=kind, trainer=spy)
    frame = sms.load()
    sides = sms.split(frame, 3, kind)
    sides = sides.take(frame) if result.model.config.valid_share else sides.joined().take(frame)
    for side, loader in ((sides.train, spy.loaders.train), (sides.valid, spy.loaders.valid)):
        if loader is None:
            assert side.empty
            continue
        assert rows_of(loader.dataset) == rows_of(result.model.dataset(side["text"], side["target"]))
    assert result.test["text"].tolist() == sides.test["text"].tolist()


def test_a_training_is_set_up_as_its_configuration_says():
    config = replace(BEST, **SIZES, spam_weight=3.0, clip=0.7, ema=0.9, patience=4, weight_decay=0.02, epochs=8)
    spy = Recorder()
    sms.fit(config, MESSAGES, MESSAGES, seed=0, trainer=spy)
    (optimizer,), rates = spy.optimizers, spy.rates()
    assert (type(optimizer), optimizer.param_groups[0]["weight_decay"]) == (torch.optim.AdamW, 0.02)
    assert max(rates) == pytest.approx(config.lr)
    assert rates.index(max(rates)) == pytest.approx(0.1 * len(rates), abs=1)
    assert rates[-1] < 0.02 * config.lr
    assert (spy.clip, spy.ema, spy.patience, spy.epochs) == (0.7, 0.9, 4, 8)
    assert set(spy.dropouts()) == {config.dropout}
    batch = next(iter(spy.loaders.valid))
    loss, logits = spy.step(spy.network.eval(), batch)
    losses = cross_entropy(logits, batch.targets, reduction="none", label_smoothing=config.label_smoothing)
    assert loss.item() == pytest.approx((losses * torch.tensor([1.0, 3.0])[batch.targets]).mean().item())


def test_without_annealing_the_learning_rate_stays():
    spy = Recorder()
    sms.fit(replace(CELLS["lstm"], lr=0.0123), MESSAGES, None, seed=0, trainer=spy)
    assert set(spy.rates()) == {0.0123}


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_the_schedule_survives_very_short_trainings(epochs):
    sms.fit(replace(BEST, epochs=epochs, batch_size=8), MESSAGES, None, seed=0)


def test_it_learns(spam_model):
    assert (spam_model.predict(TEXTS) == TARGETS).all()


def test_vocabulary_and_features_come_from_the_training_side_alone():
    distinct = pd.DataFrame({"text": ["x" * (i + 1) for i in range(20)], "target": np.arange(20) % 2})
    train, valid = distinct.iloc[:10], distinct.iloc[10:]
    model, _ = sms.fit(replace(CELLS["rnn"], epochs=1), train, valid, seed=3)
    assert model.vocabulary.tokens[2:] == train["text"].tolist()
    featured = replace(CELLS["rnn"], epochs=1, scheme="space", feature_count=1)
    model, _ = sms.fit(featured, train, valid, seed=3)
    assert sum(name.startswith("w:") for name in model.features.names) == 10


def test_with_features_a_rare_word_has_no_id_of_its_own():
    rare = pd.DataFrame({"text": ["common common rare", "common twice", "twice once"], "target": [0, 1, 0]})
    config = replace(TINY, epochs=1)
    known = [sms.untrained(replace(config, feature_count=n), rare["text"], 0).vocabulary.tokens[2:] for n in (0, 2)]
    assert set(known[0]) == {"common", "rare", "twice", "once"}
    assert set(known[1]) == {"common", "twice"}


def test_saved_models_predict_the_same(spam_model, tmp_path):
    loaded = sms.SpamModel.load(spam_model.save(str(tmp_path / "model")))
    assert np.array_equal(loaded.predict_proba(TEXTS), spam_model.predict_proba(TEXTS))
    assert loaded.config == spam_model.config


def test_a_model_with_pretrained_vectors_can_be_saved(tmp_path):
    config = replace(TINY, epochs=1, freeze=True, vectors="glove-twitter-12k")
    words, matrix = read_vectors(obtain_or_sample("glove-twitter-12k")[0])
    model, _ = sms.fit(config, MESSAGES, None, seed=0)
    known = model.network.embedding.words.weight[model.vocabulary.index[words[5]]]
    assert known.tolist() == matrix[5].tolist()
    loaded = sms.SpamModel.load(model.save(tmp_path / "model"))
    assert np.array_equal(loaded.predict_proba(TEXTS[:4]), model.predict_proba(TEXTS[:4]))


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_gets_probabilities_that_its_neighbours_do_not_change(spam_model, text):
    (alone,) = spam_model.predict_proba([text])
    assert alone.sum() == pytest.approx(1)
    assert spam_model.predict_proba(["hola", text, "x" * 500])[1] == pytest.approx(alone, abs=1e-5)


def test_the_threshold_decides(spam_model):
    first = spam_model.predict_proba(TEXTS)[:, 1]
    moved = sms.SpamModel(replace(TINY, threshold=float(np.median(first))), spam_model.vocabulary, spam_model.features)
    moved.network = spam_model.network
    assert moved.predict(TEXTS).tolist() == (first >= np.median(first)).astype(int).tolist()


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'bert' is not one of rnn, gru, lstm"):
        sms.train("bert", split_seed=1)
    with pytest.raises(ValueError, match="'temporal' is not one of random, grouped, duplicates"):
        sms.split(sms.load(), 0, "temporal")


def test_splits_share_no_text_and_grouped_ones_no_near_duplicate():
    frame = sms.load()
    for kind, column in (("random", "text"), ("grouped", "group")):
        sides = sms.split(frame, 1, kind).joined().take(frame)
        assert not set(sides.train[column]) & set(sides.test[column])
    repeated = sms.split(frame, 1, "duplicates").take(frame)
    assert set(repeated.train["text"]) & set(repeated.test["text"])


@pytest.mark.parametrize("kind", sms.KINDS)
def test_every_message_is_on_one_side_and_the_seed_decides_on_which(kind):
    frame = sms.load()
    sides, other = (sms.split(frame, seed, kind) for seed in (1, 2))
    rows = np.concatenate([sides.train, sides.valid, sides.test])
    assert len(set(rows)) == len(rows)
    assert set(frame["text"].iloc[rows]) == set(frame["text"])
    assert len(sides.valid) == pytest.approx(0.08 * len(rows), abs=2)
    assert not np.array_equal(sides.test, other.test)
    whole = sms.split(frame, 1, kind, valid_share=0)
    assert np.array_equal(whole.train, sides.joined().train)
    assert len(whole.valid) == 0
    shares = [frame["target"].iloc[side].mean() for side in (sides.train, sides.valid, sides.test)]
    assert shares == pytest.approx([frame["target"].iloc[rows].mean()] * 3, abs=0.03)


def test_the_given_model_is_the_assignments():
    network = sms.build_network(SmsConfig(), num_tokens=1000)
    assert num_trainable_parameters(network) == 1000 * 50 + (50 * 80 + 80 * 80 + 160) + (80 * 60 + 60) + (60 * 2 + 2)
