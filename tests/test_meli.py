import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from helpers.data.corpora import load_meli
from helpers.model.checkpoints import CheckpointError, save_checkpoint
from helpers.model.networks import num_trainable_parameters
from helpers.tasks import meli, meli_titles
from helpers.tasks.meli import ATTEMPTS, BEST, CONFIGS, MeliConfig, MeliModel, replace

SMALL = {"embedding_dim": 16, "hidden_size": 8, "batch_size": 32}
TINY = replace(BEST, **SMALL, epochs=6, dropout=0.1, pair_dropout=0.0, part_dropout=0.0, sparse_lr=2e-2, lr=1e-2)


@pytest.fixture(scope="module")
def frame():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROFILE", "quick")
        patch.setenv("DATA_OFFLINE", "1")
        patch.delenv("DATA_MIRROR", raising=False)
        patch.setenv("DATA_CACHE", "build/no-cache")
        yield meli_titles.titles()


@pytest.fixture(scope="module")
def parts(frame):
    return meli_titles.partitions(frame, 1)


@pytest.fixture(scope="module")
def model(frame, parts):
    return meli.fit_titles(TINY, frame, parts.train, None, seed=1)[0]


@pytest.fixture
def sample_only(monkeypatch, tmp_path):
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))


def test_targets_number_categories_by_order_of_appearance(frame):
    names = meli_titles.categories(frame)
    assert names == list(dict.fromkeys(frame["category"]))
    assert [names[t] for t in frame["target"]] == frame["category"].tolist()


@pytest.mark.usefixtures("sample_only")
def test_few_rows_are_whole_categories():
    whole = meli_titles.titles()["category"].value_counts()
    few = meli_titles.titles(300)["category"].value_counts()
    assert 0 < few.sum() <= 300
    assert (few == whole[few.index]).all()


def test_slice_is_parted_80_10_10_stratified_and_disjoint(frame, parts):
    sizes = [len(side) for side in (parts.train, parts.valid, parts.test)]
    assert sizes == pytest.approx([0.8 * len(frame), 0.1 * len(frame), 0.1 * len(frame)], abs=2)
    assert sorted(np.concatenate([parts.train, parts.valid, parts.test])) == list(range(len(frame)))
    assert set(frame["target"].iloc[parts.test]) == set(frame["target"])


def test_the_whole_set_keeps_its_own_subsets(frame):
    subsets = np.array(["train", "validation", "test"])[np.arange(len(frame)) % 3]
    whole = frame.assign(split=subsets)
    for seed in (1, 2):
        parts = meli_titles.partitions(whole, seed)
        for name, rows in zip(("train", "validation", "test"), (parts.train, parts.valid, parts.test), strict=True):
            assert set(whole["split"].iloc[rows]) == {name}


def test_folds_test_every_row_once(frame):
    tested = np.concatenate([test for _, test in meli_titles.folds(frame)])
    assert sorted(tested) == list(range(len(frame)))


def test_load_meli_refuses_unknown_columns_and_subsets():
    with pytest.raises(ValueError, match="column 'nope' is not one of"):
        load_meli(columns=["nope"])
    with pytest.raises(ValueError, match="subset 'dev' is not one of"):
        load_meli(subsets=["dev"])


@pytest.mark.usefixtures("sample_only")
@pytest.mark.parametrize("name", [*CONFIGS, *ATTEMPTS])
def test_every_configuration_trains_and_scores(name):
    config = replace((CONFIGS | ATTEMPTS)[name], hidden_size=8, epochs=1)
    result = meli.train(config, split_seed=1, model_seed=1)
    expected = balanced_accuracy_score(result.test["target"], result.test["predicted"])
    assert result.metrics["test_balanced_accuracy"] == pytest.approx(expected)
    assert result.metrics["test_low"] <= expected <= result.metrics["test_high"]
    assert result.metrics["parameters"] == num_trainable_parameters(result.model.network)
    assert ("valid_balanced_accuracy" in result.metrics) == config.valid


def test_it_learns_the_sample(frame, parts, model):
    predicted = meli.predicted_classes(model, frame, parts.test)
    assert balanced_accuracy_score(frame["target"].iloc[parts.test], predicted) > 0.8


def test_the_same_seed_gives_the_same_model_and_another_seed_another(frame, parts, model):
    again, other = (meli.fit_titles(TINY, frame, parts.train, None, seed=seed)[0] for seed in (1, 2))
    tensors, same, different = (m.network.state_dict() for m in (model, again, other))
    assert all(torch.equal(tensors[name], same[name]) for name in tensors)
    assert not all(torch.equal(tensors[name], different[name]) for name in tensors)


def test_what_is_not_in_training_changes_nothing(frame, parts, model):
    changed = frame.copy()
    changed.loc[parts.test, "title"] = "otra cosa"
    again = meli.fit_titles(TINY, changed, parts.train, None, seed=1)[0]
    assert again.reader.description() == model.reader.description()
    assert torch.equal(again.network.output.weight, model.network.output.weight)


def test_optimizers_share_out_every_parameter_once():
    reader_model = MeliModel(replace(TINY, **SMALL), meli.SubwordTitles(["=a"], ["a b"]), ["X", "Y"])
    optimizers, schedules = meli.make_optimizers(TINY, reader_model.network, 100)
    moved = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(moved) == sorted(id(p) for p in reader_model.network.parameters() if p.requires_grad)
    assert {type(o).__name__ for o in optimizers} == {"AdamW", "SparseAdam"}
    rates = []
    for _ in range(100):
        rates.append(optimizers[0].param_groups[0]["lr"])
        for moved in (*optimizers, *schedules):
            moved.step()
    assert max(rates) == pytest.approx(TINY.lr)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.02 * TINY.lr


def test_predict_gives_the_likeliest_first(model):
    (first,) = model.predict(["zapatillas de running"], k=3)
    assert len(first) == 3
    assert [p for _, p in first] == sorted((p for _, p in first), reverse=True)
    assert model.predict_proba(["zapatillas"]).sum() == pytest.approx(1, abs=1e-5)
    assert {name for name, _ in first} <= set(model.categories)


@pytest.mark.parametrize("title", ["", "😀😀", "x" * 10_000, "capa para celular com película", "a " * 5_000])
def test_odd_titles_are_answered(model, title):
    ((best, p), *_), *_ = model.predict([title])
    assert best in model.categories
    assert 0 < p <= 1


def test_bad_requests_are_refused(model):
    assert model.predict([]) == []
    with pytest.raises(TypeError, match="title 1 is NoneType"):
        model.predict(["a", None])
    with pytest.raises(ValueError, match="k=0: must lie between 1 and"):
        model.predict(["a"], k=0)


def test_a_title_is_answered_alike_alone_and_in_company(model, frame):
    some = frame["title"].head(40).tolist()
    together, alone = model.predict_proba(some), np.concatenate([model.predict_proba([t]) for t in some])
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.usefixtures("sample_only")
@pytest.mark.parametrize("config", [TINY, MeliConfig(**SMALL, epochs=1, vectors="random", freeze=False)])
def test_saved_and_loaded_it_answers_the_same(tmp_path, config):
    trained = meli.train(config, split_seed=1).model
    again = MeliModel.load(trained.save(tmp_path / "model"))
    titles = ["Funda Samsung J7", "", "zapatilla negra de cuero"]
    assert np.array_equal(trained.predict_proba(titles), again.predict_proba(titles))
    assert again.config == trained.config


def test_the_model_of_another_task_is_refused(tmp_path):
    save_checkpoint(tmp_path / "other", {"a": torch.zeros(1)}, {"task": "sms"})
    with pytest.raises(CheckpointError, match="no meli model"):
        MeliModel.load(tmp_path / "other")


def test_a_share_of_the_training_side_is_stratified(frame, parts):
    some = meli.take_share(frame, parts.train, 0.25, seed=1)
    assert set(some) < set(parts.train)
    assert len(some) == pytest.approx(len(parts.train) / 4, abs=2)
    assert set(frame["target"].iloc[some]) == set(frame["target"])


def test_an_unknown_configuration_is_named():
    with pytest.raises(ValueError, match="'nope' is not one of baseline"):
        meli.train("nope", split_seed=1)
