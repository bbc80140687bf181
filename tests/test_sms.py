import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data.sources import obtain_or_sample
from helpers.data.vectors import read_vectors
from helpers.model.checkpoints import CheckpointError, save_checkpoint
from helpers.model.networks import num_trainable_parameters
from helpers.tasks import sms
from helpers.tasks.sms import BEST, CELLS, LITERAL, VARIANTS, SmsConfig, replace

QUICK = {"rows": 300, "epochs": 3}
TEXTS = [
    "WIN £1000 now, text 80085",
    "see you later at home",
    "call 08712300220 to claim your prize",
    "ok, thanks :)",
] * 10
TARGETS = np.array([1, 0, 1, 0] * 10)
TINY = replace(
    BEST,
    epochs=15,
    anneal=False,
    activation="tanh",
    hidden_size=8,
    embedding_dim=8,
    dense=6,
    batch_size=8,
    dropout=0.0,
    feature_dropout=0.0,
)


@pytest.fixture(scope="module")
def spam_model():
    return sms.fit_texts(TINY, TEXTS, TARGETS, seed=0)[0]


@pytest.mark.parametrize("name", [*CELLS, *LITERAL, *VARIANTS, "frozen_glove", "best"])
def test_every_configuration_trains_and_scores(name):
    result = sms.train(name, split_seed=1, model_seed=1, **QUICK)
    assert len(result.test) == pytest.approx(60, abs=2)
    assert result.test["probability"].between(0, 1).all()
    predicted = result.test["probability"] >= result.model.config.threshold
    assert result.metrics["accuracy"] == pytest.approx((predicted == result.test["target"]).mean())
    assert result.metrics["parameters"] == num_trainable_parameters(result.model.network)


def test_the_same_seeds_give_the_same_model_and_another_seed_another():
    first, again, other = (sms.train("best", split_seed=1, model_seed=seed, **QUICK) for seed in (1, 1, 2))
    for name, tensor in first.model.network.state_dict().items():
        assert torch.equal(tensor, again.model.network.state_dict()[name])
    timing = {"train_seconds"}
    assert {k: v for k, v in first.metrics.items() if k not in timing} == {
        k: v for k, v in again.metrics.items() if k not in timing
    }
    assert not np.array_equal(first.test["probability"], other.test["probability"])


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_the_schedule_survives_very_short_trainings(epochs):
    sms.fit_texts(replace(BEST, epochs=epochs, batch_size=8), TEXTS, TARGETS, seed=0)


def test_it_learns(spam_model):
    assert (spam_model.predict(TEXTS) == TARGETS).all()


def test_vocabulary_and_features_come_from_the_training_part_alone():
    config = replace(CELLS["rnn"], epochs=1, valid_share=0.5)
    distinct = ["x" * (i + 1) for i in range(20)]  # one word each, so that a word tells its message
    model, _ = sms.fit_texts(config, distinct, np.arange(20) % 2, seed=3)
    assert len(model.vocabulary) == 2 + 10
    featured = replace(config, scheme="space", feature_count=1)
    model, _ = sms.fit_texts(featured, distinct, np.arange(20) % 2, seed=3)
    assert sum(name.startswith("w:") for name in model.features.names) == 10


def test_saved_models_predict_the_same(spam_model, tmp_path):
    loaded = sms.SpamModel.load(spam_model.save(tmp_path / "model"))
    assert np.array_equal(loaded.predict_proba(TEXTS), spam_model.predict_proba(TEXTS))
    assert loaded.config == spam_model.config


def test_a_model_with_pretrained_vectors_can_be_saved(tmp_path):
    config = replace(TINY, epochs=1, freeze=True, vectors="glove-twitter-12k")
    words, matrix = read_vectors(obtain_or_sample("glove-twitter-12k")[0])
    model, _ = sms.fit_texts(config, TEXTS, TARGETS, seed=0)
    known = model.network.embedding.words.weight[model.vocabulary.index[words[5]]]
    assert known.tolist() == matrix[5].tolist()
    loaded = sms.SpamModel.load(model.save(tmp_path / "model"))
    assert np.array_equal(loaded.predict_proba(TEXTS[:4]), model.predict_proba(TEXTS[:4]))


def test_the_model_of_another_task_is_refused(tmp_path):
    save_checkpoint(tmp_path / "model", {"w": torch.zeros(1)}, {"task": "meli"})
    with pytest.raises(CheckpointError, match="no sms model"):
        sms.SpamModel.load(tmp_path / "model")


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_gets_a_probability_that_its_neighbours_do_not_change(spam_model, text):
    alone = spam_model.predict_proba([text])
    assert 0 <= alone[0] <= 1
    assert spam_model.predict_proba(["hola", text, "x" * 500])[1] == pytest.approx(alone[0], abs=1e-5)


def test_no_messages_no_probabilities(spam_model):
    assert spam_model.predict_proba([]).shape == (0,)


def test_a_message_that_is_no_text_is_named(spam_model):
    with pytest.raises(TypeError, match="message 1 is NoneType"):
        spam_model.predict_proba(["hola", None])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="'bert' is not one of rnn, gru, lstm"):
        sms.train("bert", split_seed=1)
    with pytest.raises(ValueError, match="'temporal' is not one of random, grouped, duplicates"):
        sms.split_messages("temporal", 0)


def test_splits_share_no_text_and_grouped_ones_no_near_duplicate():
    for kind, column in (("random", "text"), ("grouped", "group")):
        frame, sides = sms.split_messages(kind, seed=1)
        assert not set(frame[column].iloc[sides.train]) & set(frame[column].iloc[sides.test])
    frame, sides = sms.split_messages("duplicates", seed=1)
    assert set(frame["text"].iloc[sides.train]) & set(frame["text"].iloc[sides.test])


def test_the_given_model_is_the_assignments():
    network = sms.build_network(SmsConfig(), num_tokens=1000)
    assert num_trainable_parameters(network) == 1000 * 50 + (50 * 80 + 80 * 80 + 160) + (80 * 60 + 60) + (60 * 2 + 2)
