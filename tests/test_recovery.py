import json
import multiprocessing
import os
import pickle
import random
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import settings as project
from helpers.data.batching import EncodedTexts, make_loader
from helpers.data.text import Vocabulary, tokenize
from helpers.model import recovery as recoveries
from helpers.model.checkpoints import CheckpointError, load_checkpoint
from helpers.model.metrics import multiclass_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.recovery import Recovery
from helpers.model.training import Loaders, classification_step, fit

TEXTS = [f"{'gana premio ya' if i % 3 == 0 else 'nos vemos'} {'luego ' * (i % 5)}" for i in range(40)]
VOCABULARY = Vocabulary.build(map(tokenize, TEXTS))
IDENTITY = {"config": {"hidden_size": 5, "betas": (0.9, 0.99)}, "seed": 1}
BATCHES, EPOCHS = 6, 5


class PowerCut(Exception):
    pass


def metrics(targets, logits):
    return multiclass_metrics(targets.numpy(), logits.argmax(-1).numpy())


def parts(seed, sparse):
    torch.manual_seed(seed)
    embedding = TokenEmbedding(len(VOCABULARY), 6, sparse=sparse)
    model = TextClassifier(embedding, RecurrentEncoder(6, 5), num_classes=2, dropout=0.3)
    data = EncodedTexts(TEXTS, [int(i % 3 == 0) for i in range(40)], VOCABULARY)
    loaders = Loaders(make_loader(data, 7, generator=torch.Generator().manual_seed(seed)), make_loader(data, 16))
    dense = [p for p in model.parameters() if p is not embedding.words.weight]
    table = torch.optim.SparseAdam if sparse else torch.optim.Adam
    optimizers = [torch.optim.AdamW(dense, lr=0.03), table([embedding.words.weight], lr=0.05)]
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(optimizers[0], lambda step: 1 / (1 + step)),
        torch.optim.lr_scheduler.OneCycleLR(optimizers[1], 0.05, total_steps=40),
    ]
    return model, loaders, optimizers, schedulers


def train(recovery, *, cut_after=None, pause=0.0, seed=1, **options):
    """Fit; after so many batches the power goes."""
    model, loaders, optimizers, schedulers = parts(seed, sparse="clip" not in options)
    plain, met = classification_step(), []

    def step(network, batch):
        if network.training:
            if cut_after is not None and len(met) == cut_after:
                raise PowerCut
            met.append(len(batch))
            time.sleep(pause)
        return plain(network, batch)

    history = fit(
        model,
        loaders,
        step,
        optimizers=optimizers,
        schedulers=schedulers,
        epochs=EPOCHS,
        metrics=metrics,
        recovery=recovery,
        **options,
    )
    return model, history, len(met)


def numbers(model, history):
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows = [{k: v for k, v in row.items() if "second" not in k} for row in history.rows]
    return weights, rows, history.best_epoch


def assert_same(got, expected):
    for name, tensor in expected[0].items():
        assert torch.equal(got[0][name], tensor), name
    assert got[1:] == expected[1:]


def recovery(folder, said=None, identity=IDENTITY, every=0.0):
    return Recovery(folder, identity, every=every, say=(said if said is not None else []).append)


def cut(folder, after, **options):
    with pytest.raises(PowerCut), recovery(folder) as kept:
        train(kept, cut_after=after, **options)


@settings(max_examples=6, deadline=None)
@given(
    cuts=st.lists(st.integers(1, BATCHES * EPOCHS - 1), min_size=1, max_size=3),
    ema=st.sampled_from([None, 0.9]),
    patience=st.sampled_from([None, 1]),
    clip=st.sampled_from([{}, {"clip": 0.5}]),
)
def test_a_training_cut_anywhere_ends_in_the_weights_and_history_of_one_that_was_not(
    tmp_path_factory, cuts, ema, patience, clip
):
    options = {"ema": ema, "patience": patience, **clip}
    folder = tmp_path_factory.mktemp("cut")
    expected = numbers(*train(None, **options)[:2])
    for after in cuts:
        try:
            with recovery(folder) as kept:
                train(kept, cut_after=after, **options)
        except PowerCut:
            torch.rand(3)  # whatever else the process draws in between
    with recovery(folder) as kept:
        model, history, _ = train(kept, **options)
    assert_same(numbers(model, history), expected)


def test_what_was_done_is_not_done_again_and_is_told_once_more(tmp_path):
    cut(tmp_path / "r", BATCHES * 2 + 2)
    said = []
    with recovery(tmp_path / "r", said) as kept:
        _, history, trained = train(kept)
    assert trained == BATCHES * (EPOCHS - 2) - 2
    assert said == ["entrenamiento retomado: época 3, 2 lotes ya hechos"]
    assert [row["epoch"] for row in history.rows] == [1, 2, 3, 4, 5]


def test_a_training_that_ended_leaves_nothing_and_one_that_failed_leaves_its_checkpoints(tmp_path):
    with recovery(tmp_path / "r") as kept:
        train(kept)
    assert not (tmp_path / "r").exists()
    cut(tmp_path / "r", 3)
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["a", "b", "lock"]


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_taken(tmp_path):
    cut(tmp_path / "r", 5)
    newest = max("ab", key=lambda slot: load_checkpoint(tmp_path / "r" / slot)[1]["number"])
    file = tmp_path / "r" / newest / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    said = []
    with recovery(tmp_path / "r", said) as kept:
        model, history, trained = train(kept)
    assert "rechazado" in said[0]
    assert f"{newest}/model.safetensors is damaged" in said[0].replace(os.sep, "/")
    assert said[1] == "entrenamiento retomado: época 1, 4 lotes ya hechos"
    assert trained == BATCHES * EPOCHS - 4
    assert_same(numbers(model, history), numbers(*train(None)[:2]))


def test_a_checkpoint_of_another_training_is_refused_with_the_difference(tmp_path):
    cut(tmp_path / "r", 5)
    said = []
    with recovery(tmp_path / "r", said, IDENTITY | {"seed": 2}) as kept:
        model, history, trained = train(kept, seed=2)
    assert len(said) == 2
    assert all("seed was 1, is 2" in line and "config" not in line for line in said)
    assert trained == BATCHES * EPOCHS
    assert_same(numbers(model, history), numbers(*train(None, seed=2)[:2]))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of some of the package: the code that recovery() believes to run."""
    for name in ("__init__", "tasks/sms", "model/training"):
        copy = tmp_path / "project" / "helpers" / f"{name}.py"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((project.ROOT / "helpers" / f"{name}.py").read_text(encoding="utf8"), encoding="utf8")
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path / "artifacts"))
    monkeypatch.setenv("CHECKPOINT_SECONDS", "1e-9")
    monkeypatch.setenv("THREADS", "2")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr(project, "ROOT", tmp_path / "project")
    recoveries._code.cache_clear()
    yield tmp_path / "project" / "helpers"
    recoveries._code.cache_clear()


def edit_the_task(package, monkeypatch):
    path = package / "tasks" / "sms.py"
    path.write_text(path.read_text(encoding="utf8").replace("pct_start=0.1", "pct_start=0.5"), encoding="utf8")


def add_a_file(package, monkeypatch):
    (package / "model" / "new.py").write_text("")


def remove_a_file(package, monkeypatch):
    (package / "model" / "training.py").unlink()


def other_threads(package, monkeypatch):
    monkeypatch.setenv("THREADS", "1")


def other_torch(package, monkeypatch):
    now = project.versions()
    monkeypatch.setattr(project, "versions", lambda: now | {"torch": "9.9.9"})


def other_device(package, monkeypatch):
    monkeypatch.setattr(project, "device", lambda: SimpleNamespace(type="cuda"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (edit_the_task, "training: code helpers/tasks/sms.py changed\n"),
        (add_a_file, "training: code helpers/model/new.py changed\n"),
        (remove_a_file, "training: code helpers/model/training.py changed\n"),
        (other_threads, "training: threads was 2, is 1\n"),
        (other_torch, f"training: versions torch was '{torch.__version__.split('+')[0]}', is '9.9.9'\n"),
        (other_device, "training: device was 'cpu', is 'cuda'\n"),
        (None, None),
    ],
    ids=lambda change: getattr(change, "__name__", ""),
)
def test_an_interrupted_training_begins_again_when_what_it_ran_on_changed(package, monkeypatch, capsys, change, reason):
    with pytest.raises(PowerCut), recoveries.recovery("sms", seed=1) as kept:
        train(kept, cut_after=8)
    if change:
        change(package, monkeypatch)
        recoveries._code.cache_clear()  # as another process would
    with recoveries.recovery("sms", seed=1) as kept:
        model, history, trained = train(kept)
    said = capsys.readouterr().out
    assert trained == BATCHES * EPOCHS - (0 if change else 8)
    assert said.count(reason) == 2 if change else said == "entrenamiento retomado: época 2, 2 lotes ya hechos\n"
    assert_same(numbers(model, history), numbers(*train(None)[:2]))


def test_of_several_processes_the_first_keeps_checkpoints(package, monkeypatch):
    for rank, kind in (("0", Recovery), ("1", type(None)), ("", Recovery)):
        monkeypatch.setenv("RANK", rank)
        with recoveries.recovery("sms", seed=1) as kept:
            assert isinstance(kept, kind)


@pytest.mark.parametrize("value", ["0", "-1", "often", "nan"])
def test_seconds_between_checkpoints_are_a_number_above_0(package, monkeypatch, value):
    monkeypatch.setenv("CHECKPOINT_SECONDS", value)
    with pytest.raises(ValueError, match=f"CHECKPOINT_SECONDS='{value}' is not a number of seconds above 0"):
        recoveries.recovery("sms", seed=1)


def test_a_pickle_is_no_checkpoint(tmp_path):
    cut(tmp_path / "r", 5)
    for slot in "ab":
        payload = pickle.dumps({"weights": [1.0]})
        (tmp_path / "r" / slot / "model.safetensors").write_bytes(payload)
        (tmp_path / "r" / slot / "model.json").write_bytes(payload)
    said = []
    with recovery(tmp_path / "r", said) as kept:
        assert train(kept)[2] == BATCHES * EPOCHS
    assert len(said) == 2
    assert all("no checkpoint description" in line for line in said)


def test_a_second_process_on_the_same_training_does_without_checkpoints(tmp_path):
    said = []
    with recovery(tmp_path / "r") as first, recovery(tmp_path / "r", said) as second:
        train(second)
        assert said == ["otro proceso entrena lo mismo: aquí no se guardan puntos de control"]
        assert [path.name for path in (tmp_path / "r").iterdir()] == ["lock"]
        assert train(first)[2] == BATCHES * EPOCHS


def test_nothing_is_written_before_the_time_has_come(tmp_path):
    with recovery(tmp_path / "r", every=3600) as kept:
        train(kept)
        assert [path.name for path in (tmp_path / "r").iterdir()] == ["lock"]


def test_a_write_that_fails_leaves_the_checkpoints_before_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    cut(tmp_path / "r", 4)
    before = {slot: load_checkpoint(tmp_path / "r" / slot)[1]["number"] for slot in "ab"}
    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(CheckpointError, match="No space left"), recovery(tmp_path / "r") as kept:
        train(kept)
    assert {slot: load_checkpoint(tmp_path / "r" / slot)[1]["number"] for slot in "ab"} == before
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["a", "b", "lock"]


def _child(folder, outcome):
    torch.set_num_threads(1)
    with recovery(folder, every=0.01) as kept:
        model, history, _ = train(kept, pause=0.02)
    weights, rows, best = numbers(model, history)
    torch.save({"weights": weights, "rest": json.dumps([rows, best])}, outcome)


def _newest(folder):
    return max((path.stat().st_mtime_ns for path in folder.glob("[ab]/model.json")), default=0)


def test_killed_five_times_at_random_moments_it_ends_in_identical_weights_and_metrics(tmp_path):
    expected = numbers(*train(None)[:2])
    context, rng = multiprocessing.get_context("forkserver"), random.Random(0)
    context.set_forkserver_preload(
        ["helpers.model.training", "sklearn.metrics", "torch._dynamo", "pytest", "hypothesis"]
    )
    for kills_left in (5, 4, 3, 2, 1, 0):
        before = _newest(tmp_path / "r")
        child = context.Process(target=_child, args=(tmp_path / "r", tmp_path / "outcome.pt"))
        child.start()
        while kills_left and child.is_alive() and _newest(tmp_path / "r") == before:
            time.sleep(0.001)
        if kills_left:
            time.sleep(rng.uniform(0, 0.03))
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert (child.exitcode == -signal.SIGKILL) == bool(kills_left)
    got = torch.load(tmp_path / "outcome.pt", weights_only=True)
    assert_same((got["weights"], *json.loads(got["rest"])), expected)
