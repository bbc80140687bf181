"""Pairs that a network's own teachers rate, and the pre-training that a process remembers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.augment.new_pairs import candidate_pairs
from helpers.data.corpora import ENTAILMENTS
from helpers.data.splits import pair_keys, repeats
from helpers.data.text import normalize_sentence
from helpers.tasks import sick
from helpers.tasks.sick import DISTRIBUTION, LOSSES

SMALL = {"hidden_size": 6, "head_size": 4, "batch_size": 8, "lr": 0.02}
TAUGHT = replace(DISTRIBUTION, **SMALL, teachers=2, entailment_weight=0.5)
QUICK = {"model_seed": 1, "evaluate_on": "trial", "rows": 40, "epochs": 2}
pytestmark = pytest.mark.usefixtures("sample_alone")


@pytest.fixture(scope="module")
def taught():
    return sick.train(TAUGHT, **QUICK)


def letters(texts):
    """How often each letter stands in a text."""
    return np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts], float)


def test_candidates_are_new_pairs_of_training_sentences_and_nothing_unseen():
    frame = sick.load()
    chosen = sick.split(frame, "trial").take(frame)
    hidden = sick.unseen(frame, chosen)
    new = candidate_pairs(chosen.train, letters, seed=3, test=hidden)
    own = {normalize_sentence(text) for text in [*chosen.train["sentence_a"], *chosen.train["sentence_b"]]}
    assert len(new) > len(own)
    assert {sentence for key in pair_keys(new) for sentence in key} <= own
    assert not repeats(new, chosen.train).pair.any()
    assert not repeats(new, hidden).pair.any()
    assert len(set(pair_keys(new))) == len(new)
    assert new.equals(candidate_pairs(chosen.train, letters, seed=3, test=hidden))
    assert not new.equals(candidate_pairs(chosen.train, letters, seed=4, test=hidden))


def test_near_partners_come_from_the_most_alike():
    train = pd.DataFrame({"sentence_a": ["aab", "zzy"], "sentence_b": ["yzzz", "baaa"]})
    options = {"seed": 0, "test": train.iloc[:0], "far": 0}
    nearest = candidate_pairs(train, letters, **options, near=1, among=1)
    assert sorted(pair_keys(nearest)) == [("aab", "baaa"), ("yzzz", "zzy")]
    everyone = candidate_pairs(train, letters, **options, near=3, among=3)
    assert len(everyone) == 6 - len(train)
    assert candidate_pairs(train, letters, **options, near=0).empty


def test_teachers_rate_the_candidates_and_the_student_learns_from_them(taught):
    rated = taught.rated
    assert rated["relatedness"].between(1, 5).all()
    assert rated["relatedness"].nunique() > 10
    assert set(rated["entailment"]) <= set(ENTAILMENTS)
    frame = sick.load()
    hidden = sick.unseen(frame, sick.split(frame, "trial", rows=40).take(frame))
    assert not repeats(rated, hidden).pair.any()
    alone = sick.train(replace(TAUGHT, teachers=0), **QUICK)
    assert alone.rated is None
    assert not alone.test["similarity"].equals(taught.test["similarity"])
    assert taught.metrics["train_pairs"] == alone.metrics["train_pairs"]


def test_the_ratings_are_the_mean_of_the_teachers(monkeypatch):
    said = []
    raw = sick.SimilarityModel.raw_similarity

    def listen(self, first, second):
        found = raw(self, first, second)
        said.append((len(first), found))
        return found

    monkeypatch.setattr(sick.SimilarityModel, "raw_similarity", listen)
    rated = sick.train(TAUGHT, **QUICK).rated
    teachers = [found for size, found in said if size == len(rated)]
    assert len(teachers) == 2
    assert not np.array_equal(*teachers)
    assert rated["relatedness"].to_numpy() == pytest.approx(1 + 4 * np.mean(teachers, axis=0))


def test_without_the_second_head_no_entailment_is_rated():
    rated = sick.train(replace(TAUGHT, entailment_weight=0.0), **QUICK).rated
    assert set(rated["entailment"]) == {""}


def test_the_second_head_tells_entailment_whichever_comes_first(taught):
    firsts, seconds = ["A dog is running", "A man is here", ""], ["Nobody runs", "A man is here", "A dog"]
    found = taught.model.entailment(firsts, seconds)
    assert found.shape == (3, len(ENTAILMENTS))
    assert found.sum(1) == pytest.approx(np.ones(3), abs=1e-5)
    assert found == pytest.approx(taught.model.entailment(seconds, firsts), abs=1e-5)
    plain = sick.train(replace(TAUGHT, teachers=0, entailment_weight=0.0), **QUICK)
    with pytest.raises(ValueError, match="trained without entailment"):
        plain.model.entailment(firsts, seconds)


def test_a_remembered_pretraining_changes_nothing(monkeypatch):
    config = replace(TAUGHT, pretrain=True)
    monkeypatch.setattr(sick, "_pretrainings", {})
    made = sick.train(config, **QUICK)
    assert len(sick._pretrainings) == 1
    remembered = sick.train(config, **QUICK)
    shared = sick.train(replace(config, teachers=0), **QUICK)
    assert len(sick._pretrainings) == 1
    for name, tensor in made.model.network.state_dict().items():
        assert torch.equal(tensor, remembered.model.network.state_dict()[name])
    assert made.pretraining.rows == remembered.pretraining.rows == shared.pretraining.rows
    sick.train(config, **QUICK | {"model_seed": 2})
    assert len(sick._pretrainings) == 2


def test_triplets_have_no_teachers():
    with pytest.raises(ValueError, match="teachers=0"):
        replace(LOSSES["triplet"], teachers=1)
