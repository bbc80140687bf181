"""MeLi: corpus and splits, what a training reads and how it is set up, and the model that comes out."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch.nn.functional import cross_entropy

from helpers.data.corpora import load_meli
from helpers.data.text import title_tokens
from helpers.model.networks import num_trainable_parameters
from helpers.tasks import meli
from helpers.tasks.meli import ATTEMPTS, BASELINE, BEST, CONFIGS, MeliConfig, MeliModel, replace
from tests.recorder import Recorder, rows_of

SMALL = {"embedding_dim": 16, "hidden_size": 8, "batch_size": 32}
TINY = replace(BEST, **SMALL, epochs=6, dropout=0.1, pair_dropout=0.0, part_dropout=0.0, sparse_lr=2e-2, lr=1e-2)
TRAINED = ("baseline", "mlp", "seed_final", "best", "averaged", *ATTEMPTS, "sgd lr=0.5", "num_layers=2", "s04")
pytestmark = pytest.mark.usefixtures("sample_alone")


@pytest.fixture(scope="module")
def frame(sample_alone):
    return meli.load()


@pytest.fixture(scope="module")
def sides(frame):
    return meli.split(frame, 1)


@pytest.fixture(scope="module")
def model(frame, sides):
    return meli.fit(TINY, frame.iloc[sides.train], None, seed=1)[0]


def test_targets_number_categories_by_order_of_appearance(frame):
    names = meli.categories(frame)
    assert names == list(dict.fromkeys(frame["category"]))
    assert [names[t] for t in frame["target"]] == frame["category"].tolist()


def test_few_rows_are_whole_categories():
    whole = meli.load()["category"].value_counts()
    few = meli.load(300)["category"].value_counts()
    assert 0 < few.sum() <= 300
    assert (few == whole[few.index]).all()


def test_slice_is_split_80_10_10_stratified_and_disjoint(frame, sides):
    sizes = [len(side) for side in (sides.train, sides.valid, sides.test)]
    assert sizes == pytest.approx([0.8 * len(frame), 0.1 * len(frame), 0.1 * len(frame)], abs=2)
    assert sorted(np.concatenate([sides.train, sides.valid, sides.test])) == list(range(len(frame)))
    assert set(frame["target"].iloc[sides.test]) == set(frame["target"])


def test_the_whole_set_keeps_its_own_subsets(frame):
    subsets = np.array(["train", "validation", "test"])[np.arange(len(frame)) % 3]
    whole = frame.assign(split=subsets)
    for seed in (1, 2):
        sides = meli.split(whole, seed)
        for name, rows in zip(("train", "validation", "test"), (sides.train, sides.valid, sides.test), strict=True):
            assert set(whole["split"].iloc[rows]) == {name}


def test_folds_test_every_row_once(frame):
    tested = np.concatenate([test for _, test in meli.folds(frame)])
    assert sorted(tested) == list(range(len(frame)))


def test_load_meli_refuses_unknown_columns_and_subsets():
    with pytest.raises(ValueError, match="column 'nope' is not one of"):
        load_meli(columns=["nope"])
    with pytest.raises(ValueError, match="subset 'dev' is not one of"):
        load_meli(subsets=["dev"])


@pytest.mark.parametrize("name", TRAINED)
def test_configurations_train_and_score(name):
    config = replace(CONFIGS[name], hidden_size=8, epochs=1)
    result = meli.train(config, split_seed=1)
    expected = balanced_accuracy_score(result.test["target"], result.test["predicted"])
    assert result.metrics["test_balanced_accuracy"] == pytest.approx(expected)
    assert result.metrics["test_low"] <= expected <= result.metrics["test_high"]
    assert result.metrics["parameters"] == num_trainable_parameters(result.model.network)
    assert ("valid_balanced_accuracy" in result.metrics) == config.valid


def test_it_learns_the_sample(frame, sides, model):
    predicted = model.predict(frame["title"].iloc[sides.test].tolist())
    assert balanced_accuracy_score(frame["category"].iloc[sides.test], predicted) > 0.8


def test_the_same_seed_gives_the_same_model_and_another_seed_another(frame, sides, model):
    again, other = (meli.fit(TINY, frame.iloc[sides.train], None, seed=seed)[0] for seed in (1, 2))
    tensors, same, different = (m.network.state_dict() for m in (model, again, other))
    assert all(torch.equal(tensors[name], same[name]) for name in tensors)
    assert not all(torch.equal(tensors[name], different[name]) for name in tensors)


@pytest.mark.parametrize("name", ["baseline", "best"])
def test_a_training_reads_the_sides_of_its_split_and_nothing_else(name):
    spy = Recorder()
    result = meli.train(name, split_seed=3, model_seed=8, trainer=spy)
    frame = meli.load()
    sides = meli.split(frame, 3) if result.model.config.valid else meli.split(frame, 3).joined()
    for rows, loader in ((sides.train, spy.loaders.train), (sides.valid, spy.loaders.valid)):
        if loader is None:
            assert len(rows) == 0
            continue
        side = frame.iloc[rows]
        assert rows_of(loader.dataset) == rows_of(result.model.dataset(side["title"].to_numpy(), side["target"]))
    assert result.test.index.tolist() == sides.test.tolist()
    words = {word for title in frame["title"].iloc[sides.train] for word in title_tokens(title)}
    if name == "best":
        assert {part[1:] for part in result.model.reader.parts if part.startswith("=")} <= words


def test_training_metrics_are_of_the_titles_trained_on(monkeypatch):
    monkeypatch.setattr(meli, "TRAIN_CHECKED", 10**6)
    result = meli.train(replace(TINY, valid=True, epochs=3), split_seed=2)
    train = meli.load().iloc[meli.split(meli.load(), 2).train]
    found = (result.model.predict(train["title"].tolist()) == train["category"]).mean()
    assert result.metrics["train_accuracy"] == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("config", [BEST, replace(BASELINE, vectors="random", freeze=False, label_smoothing=0.2)])
def test_a_training_is_set_up_as_its_configuration_says(config):
    config, spy = replace(config, hidden_size=8, weight_decay=0.03, patience=7, epochs=4, valid=True), Recorder()
    meli.train(config, split_seed=1, rows=300, trainer=spy)
    assert (spy.epochs, spy.patience, spy.watch, spy.higher_is_better) == (4, 7, "valid_balanced_accuracy", True)
    dense, sparse = spy.optimizers
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    assert (type(dense), dense.param_groups[0]["weight_decay"]) == (kind, 0.03)
    assert type(sparse) is torch.optim.SparseAdam
    moved = [id(p) for o in spy.optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(moved) == sorted(id(p) for p in spy.network.parameters() if p.requires_grad)
    assert sparse.param_groups[0].get("initial_lr", sparse.param_groups[0]["lr"]) == config.sparse_lr
    assert set(spy.dropouts()) == {config.dropout}
    assert (spy.network.embedding.word_dropout, spy.network.embedding.feature_dropout) == (
        config.pair_dropout,
        config.part_dropout,
    )
    batch = next(iter(spy.loaders.valid))
    loss, classes = spy.step(spy.network.eval(), batch)
    logits = spy.network(batch)
    assert loss.item() == pytest.approx(
        cross_entropy(logits, batch.targets, label_smoothing=config.label_smoothing).item()
    )
    assert classes.tolist() == logits.argmax(1).tolist()
    rates = spy.rates()
    assert max(rates) == pytest.approx(config.lr)
    if config.anneal:
        assert rates.index(max(rates)) == pytest.approx(0.1 * len(rates), abs=2)
        assert rates[-1] < 0.05 * config.lr
        assert sparse.param_groups[0]["lr"] < 0.05 * config.sparse_lr
    else:
        assert set(rates) == {config.lr}


def test_sgd_has_momentum_and_frozen_vectors_do_not_move():
    spy = Recorder()
    meli.train(replace(CONFIGS["sgd lr=0.5"], hidden_size=8), split_seed=1, rows=300, trainer=spy)
    (optimizer,) = spy.optimizers
    assert type(optimizer) is torch.optim.SGD
    assert [optimizer.param_groups[0][name] for name in ("lr", "momentum")] == [0.5, 0.9]
    assert not spy.network.embedding.words.weight.requires_grad


def test_configurations_that_leave_something_out_do(frame, sides):
    spies = {name: Recorder() for name in ("best", *ATTEMPTS)}
    for name, spy in spies.items():
        meli.train(replace(CONFIGS[name], hidden_size=8), split_seed=1, rows=300, trainer=spy)
    assert not spies["no_skip"].network.skip
    assert spies["best"].network.skip
    tokens = {name: spy.loaders.train.dataset.tokens.values.max() for name, spy in spies.items()}
    assert tokens["no_pairs"] == 0 < tokens["best"]


def test_names_are_needed_where_training_lacks_a_category(frame):
    with pytest.raises(ValueError, match="pass categories"):
        meli.fit(TINY, frame[frame["target"] > 2], None, seed=1)
    with pytest.raises(ValueError, match="need a dictionary"):
        meli.fit(BASELINE, frame, None, seed=1)


def test_predict_gives_the_likeliest_first(model):
    (first,) = model.top(["zapatillas de running"], k=3)
    assert len(first) == 3
    assert model.predict(["zapatillas de running"]).tolist() == [first[0][0]]
    assert [p for _, p in first] == sorted((p for _, p in first), reverse=True)
    assert model.predict_proba(["zapatillas"]).sum() == pytest.approx(1, abs=1e-5)
    assert {name for name, _ in first} <= set(model.categories)


@pytest.mark.parametrize("title", ["", "😀😀", "x" * 10_000, "capa para celular com película", "a " * 5_000])
def test_odd_titles_are_answered(model, title):
    ((best, p), *_), *_ = model.top([title])
    assert best in model.categories
    assert 0 < p <= 1


def test_bad_requests_are_refused(model):
    assert model.top([]) == []
    with pytest.raises(ValueError, match="k=0: must lie between 1 and"):
        model.top(["a"], k=0)
    with pytest.raises(ValueError, match="rows=3: the first category drawn"):
        meli.load(3)


def test_a_title_is_answered_alike_alone_and_in_company(model, frame):
    some = frame["title"].head(40).tolist()
    together, alone = model.predict_proba(some), np.concatenate([model.predict_proba([t]) for t in some])
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("config", [TINY, MeliConfig(**SMALL, epochs=1, vectors="random", freeze=False)])
def test_saved_and_loaded_it_answers_the_same(tmp_path, config):
    trained = meli.train(config, split_seed=1).model
    again = MeliModel.load(trained.save(tmp_path / "model"))
    titles = ["Funda Samsung J7", "", "zapatilla negra de cuero"]
    assert np.array_equal(trained.predict_proba(titles), again.predict_proba(titles))
    assert again.config == trained.config


def test_a_share_of_the_training_side_is_stratified(frame, sides):
    some = meli.take_share(frame, sides.train, 0.25, seed=1)
    assert set(some) < set(sides.train)
    assert len(some) == pytest.approx(len(sides.train) / 4, abs=2)
    assert set(frame["target"].iloc[some]) == set(frame["target"])


def test_an_unknown_configuration_is_named():
    with pytest.raises(ValueError, match="'nope' is not one of baseline"):
        meli.train("nope", split_seed=1)
