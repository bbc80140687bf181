"""What a configuration says reaches the training: losses, schedules, optimizers and options of the three tasks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from helpers.data.batching import NO_LABEL, EncodedSentences
from helpers.data.text import SentenceReader, Vocabulary
from helpers.model import siamese
from helpers.model.metrics import to_relatedness
from helpers.model.training import History
from helpers.tasks import meli, sick, sms

TEXTS = ["gana un premio ya", "nos vemos luego", "premio premio", "hola", "luego nos vemos hola", "ya ya gana"] * 5
MESSAGES = pd.DataFrame({"text": TEXTS, "target": [1, 0, 1, 0, 0, 1] * 5})
TITLES = pd.DataFrame({"title": TEXTS, "target": [0, 1, 2, 1, 1, 0] * 5}).assign(
    category=lambda f: "C" + f["target"].astype(str)
)
SMALL = {"embedding_dim": 6, "hidden_size": 5, "dense": 4}
RNG = np.random.default_rng(0)
WORDS = [f"w{i}" for i in range(12)]
VECTORS = np.concatenate([np.zeros((2, 6)), RNG.normal(size=(12, 6))]).astype(np.float32)


def passed(fit, *args, **options):
    """What a task hands to the trainer instead of being trained."""
    seen = {}

    def trainer(network, loaders, step, **others):
        seen.update(others, network=network, loaders=loaders, step=step)
        return History([{"epoch": 1}], 1)

    fit(*args, seed=1, trainer=trainer, **options)
    return seen


def rates(optimizers, schedulers, steps):
    """(steps, parameter groups) learning rate of every update."""
    found = []
    for _ in range(steps):
        found.append([group["lr"] for optimizer in optimizers for group in optimizer.param_groups])
        for moved in (*optimizers, *schedulers):
            moved.step()
    return np.array(found)


def smoothed(logits, targets, share):
    """(n,) cross-entropy against (1 - share) * the class + share / classes, written out."""
    wanted = torch.full_like(logits, share / logits.size(1))
    wanted[torch.arange(len(targets)), targets] += 1 - share
    return -(wanted * logits.log_softmax(-1)).sum(1)


@pytest.mark.parametrize(("smoothing", "weight"), [(0.0, 1.0), (0.2, 1.0), (0.0, 5.0), (0.1, 0.5)])
def test_the_loss_of_messages_is_smoothed_and_weighted(smoothing, weight):
    config = sms.SmsConfig(**SMALL, label_smoothing=smoothing, spam_weight=weight)
    seen = passed(sms.fit, config, MESSAGES, None)
    batch = next(iter(seen["loaders"].train))
    loss, logits = seen["step"](seen["network"].eval(), batch)
    expected = smoothed(logits, batch.targets, smoothing) * torch.where(batch.targets == 1, weight, 1.0)
    assert loss.item() == pytest.approx(expected.mean().item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_titles_is_smoothed_and_classes_are_kept_of_the_outputs(smoothing):
    config = replace(meli.BEST, **SMALL, label_smoothing=smoothing)
    seen = passed(meli.fit, config, TITLES, None)
    batch, network = next(iter(seen["loaders"].train)), seen["network"].eval()
    loss, classes = seen["step"](network, batch)
    logits = network(batch)
    assert loss.item() == pytest.approx(smoothed(logits, batch.targets, smoothing).mean().item(), rel=1e-6)
    assert classes.tolist() == logits.argmax(-1).tolist()


def test_the_options_of_training_are_those_of_the_configuration():
    config = sms.SmsConfig(**SMALL, clip=0.3, ema=0.9, patience=4, epochs=7, batch_size=9)
    seen = passed(sms.fit, config, MESSAGES, MESSAGES[:6])
    assert [seen[name] for name in ("clip", "ema", "patience", "epochs")] == [0.3, 0.9, 4, 7]
    assert max(len(batch) for batch in seen["loaders"].train) == 9
    assert sum(len(batch) for batch in seen["loaders"].valid) == 6
    seen = passed(meli.fit, replace(meli.BEST, **SMALL, patience=2, epochs=3, batch_size=4), TITLES, TITLES[:6])
    assert [seen[name] for name in ("patience", "epochs", "watch", "higher_is_better")] == [
        2, 3, "valid_balanced_accuracy", True,
    ]  # fmt: skip
    assert max(len(batch) for batch in seen["loaders"].train) == 4


@pytest.mark.parametrize(("select", "watch"), [(True, "valid_pearson"), (False, "epoch")])
def test_the_options_of_training_on_pairs_are_those_of_the_configuration(sample_alone, select, watch):
    config = sick.SickConfig(hidden_size=4, clip=0.3, ema=0.9, patience=4, epochs=7, batch_size=9, select=select)
    pairs = sick.load(rows=40)[:40]
    seen = passed(sick.fit, config, pairs, None)
    assert [seen[name] for name in ("clip", "ema", "patience", "epochs")] == [0.3, 0.9, 4, 7]
    assert (seen["watch"], seen["higher_is_better"]) == (watch, True)
    assert max(len(batch) for batch in seen["loaders"].train) == 9
    assert {len(set(batch.rows.tolist())) for batch in seen["loaders"].train} == {9, 40 % 9}


def siamese_network(config):
    torch.manual_seed(0)
    return sick.build_network(config, VECTORS)


def pairs_batch(parts=2):
    columns = [[" ".join(RNG.choice(WORDS, 4)) for _ in range(9)] for _ in range(parts)]
    rows = EncodedSentences(
        columns, SentenceReader(Vocabulary(WORDS)), targets=np.linspace(0, 1, 9),
        labels=[0, 1, 2, NO_LABEL, 0, 1, 2, NO_LABEL, 1],
    )  # fmt: skip
    return rows.__getitems__(list(range(9)))


def test_one_cycle_peaks_after_a_tenth_and_ends_near_nothing():
    text = sms.SmsConfig(**SMALL, anneal=True, lr=0.02)
    network = sms.build_network(text, 10)
    pairs = replace(sick.DISTRIBUTION, freeze=False, vectors_lr=0.25)
    recipes = [
        (sms.make_optimizers(text, network, 60), [0.02]),
        (sick.make_optimizers(pairs, siamese_network(pairs), 0.02, 60), [0.02, 0.005]),
    ]
    for (optimizers, schedulers), peaks in recipes:
        found = rates(optimizers, schedulers, 60)
        assert found.max(0).tolist() == pytest.approx(peaks)
        assert found.argmax(0).tolist() == [5] * len(peaks)  # the sixth of 60
        assert (found[-1] < np.array(peaks) * 1e-4).all()
        assert (np.diff(found[5:], axis=0) < 0).all()


def test_titles_rise_over_a_tenth_and_fall_in_a_line_to_nothing():
    config = replace(meli.BEST, **SMALL, lr=0.02, sparse_lr=0.1)
    network = passed(meli.fit, config, TITLES, None)["network"]
    found = rates(*meli.make_optimizers(config, network, 60), 60)
    rise, fall = np.arange(1, 7) / 6, np.arange(54, 0, -1) / 54
    assert found == pytest.approx(np.concatenate([rise, fall])[:, None] * [0.02, 0.1])


def test_without_annealing_the_rate_is_constant():
    text, titles = sms.SmsConfig(**SMALL, lr=0.02), replace(meli.BEST, **SMALL, lr=0.02, anneal=False)
    pairs = replace(sick.DISTRIBUTION, anneal=False)
    network = passed(meli.fit, titles, TITLES, None)["network"]
    for optimizers, schedulers in (
        sms.make_optimizers(text, sms.build_network(text, 10), 60),
        meli.make_optimizers(titles, network, 60),
        sick.make_optimizers(pairs, siamese_network(pairs), 0.02, 60),
    ):
        assert schedulers == []
        assert optimizers[0].param_groups[0]["lr"] == 0.02


def test_what_moves_by_which_optimizer():
    text = sms.SmsConfig(**SMALL, weight_decay=0.03)
    ((adamw,), _) = sms.make_optimizers(text, sms.build_network(text, 10), 60)
    assert (type(adamw), adamw.param_groups[0]["weight_decay"]) == (torch.optim.AdamW, 0.03)
    for kind, named in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)):
        config = replace(meli.BEST, **SMALL, optimizer=kind, weight_decay=0.03, sparse_lr=0.7)
        network = passed(meli.fit, config, TITLES, None)["network"]
        (dense, sparse), _ = meli.make_optimizers(config, network, 60)
        assert (type(dense), dense.param_groups[0]["weight_decay"]) == (named, 0.03)
        assert dense.param_groups[0].get("momentum", 0.9) == 0.9
        assert (type(sparse), sparse.defaults["lr"]) == (torch.optim.SparseAdam, 0.7)
        moved = [{id(p) for group in optimizer.param_groups for p in group["params"]} for optimizer in (dense, sparse)]
        assert moved[1] == {id(network.embedding.words.weight), id(network.embedding.features.weight)}
        assert moved[0] == {id(p) for p in network.parameters()} - moved[1]
    pairs = replace(sick.DISTRIBUTION, freeze=False, weight_decay=0.03, vectors_lr=0.5)
    network = siamese_network(pairs)
    ((adamw,), _) = sick.make_optimizers(replace(pairs, anneal=False), network, 0.1, 60)
    rest, words = adamw.param_groups
    assert (rest["lr"], rest["weight_decay"], words["lr"], words["weight_decay"]) == (0.1, 0.03, 0.05, 0)
    assert [id(p) for p in words["params"]] == [id(network.encoder.embedding.words.weight)]
    assert len(rest["params"]) == len(list(network.parameters())) - 1


@pytest.mark.parametrize("loss", [name for name in sick.HEADS if name != "triplet"])
def test_every_loss_of_pairs_is_the_one_it_is_called_by(loss):
    config = sick.SickConfig(hidden_size=4, loss=loss, margin=1.7, similar_from=3.0)
    network, batch = siamese_network(config).eval(), pairs_batch()
    found, outputs = sick.make_step(config)(network, batch)
    first, second = network.vectors(batch)
    y, distance = batch.targets, (first - second).norm(dim=-1)
    hinge = (1.7 - distance).clamp(min=0)
    similar = (to_relatedness(y) >= 3.0).float()
    expected = {
        "pairwise": lambda: (similar * distance + (1 - similar) * hinge).mean(),
        "graded_pairwise": lambda: (y * distance + (1 - y) * hinge).mean(),
        "squared_pairwise": lambda: (y * distance**2 + (1 - y) * hinge**2).mean(),
        "manhattan": lambda: (((-(first - second).abs().sum(-1)).exp() - y) ** 2).mean(),
        "cosine": lambda: ((torch.cosine_similarity(first, second) - y) ** 2).mean(),
        "distribution": lambda: siamese.relatedness_kl_loss(network.head(first, second), 1 + 4 * y),
    }[loss]()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(outputs, network.head(first, second))


def test_triplets_are_ranked_with_the_margin_of_the_configuration():
    config = sick.SickConfig(hidden_size=4, loss="triplet", select=False, margin=1.7)
    network, batch = siamese_network(config).eval(), pairs_batch(parts=3)
    found, outputs = sick.make_step(config)(network, batch)
    anchor, positive, negative = network.vectors(batch)
    near, far = (anchor - positive).norm(dim=-1), (anchor - negative).norm(dim=-1)
    assert found.item() == pytest.approx((1.7 - (far - near)).clamp(min=0).mean().item(), rel=1e-5)
    torch.testing.assert_close(outputs, torch.stack([near, far], -1))


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_what_is_added_to_the_loss_has_its_weight(weight):
    config = replace(sick.DISTRIBUTION, hidden_size=4, entailment_weight=weight)
    network, batch = siamese_network(config).eval(), pairs_batch()
    without = sick.make_step(replace(config, entailment_weight=0.0))(network, batch)[0].item()
    first, second = network.vectors(batch)
    logits = network.entailment(torch.cat([(first - second).abs(), first * second], -1))
    entailment = cross_entropy(logits, batch.labels, ignore_index=NO_LABEL).item()
    assert sick.make_step(config)(network, batch)[0].item() == pytest.approx(without + weight * entailment, rel=1e-5)
    squared = ((network.similarity(network.head(first, second)) - batch.targets) ** 2).mean().item()
    config = replace(config, entailment_weight=0.0, mse_weight=weight)
    assert sick.make_step(config)(network, batch)[0].item() == pytest.approx(without + weight * squared, rel=1e-5)
