"""The same trainings on every device of this machine; `make test-device` runs them where there is a GPU.

The CPU is always one of the devices; what compares two of them is skipped where there is no CUDA device.
"""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from helpers import settings
from helpers.tasks import meli, sick, sms

CUDA = [f"cuda:{number}" for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)]
DEVICES = ["cpu", *CUDA[:1]]
needs_cuda = pytest.mark.skipif(not CUDA, reason="torch finds no CUDA device")
pytestmark = pytest.mark.usefixtures("sample_alone")

SMS = replace(sms.BEST, embedding_dim=8, hidden_size=8, dense=8, batch_size=8, epochs=1)
MELI = replace(meli.BEST, embedding_dim=8, hidden_size=8, batch_size=16, epochs=1)
SICK = replace(sick.DISTRIBUTION, hidden_size=8, head_size=8, batch_size=8, epochs=1, entailment_weight=0.5)
WITHOUT_DROPOUT = {  # two devices draw other masks
    "sms": {"dropout": 0.0, "word_dropout": 0.0, "feature_dropout": 0.0},
    "meli": {"dropout": 0.0, "pair_dropout": 0.0, "part_dropout": 0.0},
    "sick": {"dropout": 0.0, "input_dropout": 0.0, "head_dropout": 0.0},
}
CONFIGS = {"sms": SMS, "meli": MELI, "sick": SICK}
TEXTS = ["Funda Samsung J7 azul", "WINNER! claim your prize", "A dog is running", ""]
MODELS = {"sms": sms.SpamModel, "meli": meli.MeliModel, "sick": sick.SimilarityModel}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("THREADS", "1")


def fitted(task: str, device: str, *, epochs: int = 1, dropout: bool = True, **options):
    """Model and History after about 20 steps an epoch on the sample."""
    config = replace(CONFIGS[task], epochs=epochs, **{} if dropout else WITHOUT_DROPOUT[task])
    with settings.environment(DEVICE=device):
        if task == "sick":
            frame = sick.load()
            sides = sick.split(frame, "trial").take(frame)
            train, valid = sides.train.head(20 * config.batch_size), sides.valid.head(40)
            return sick.fit(config, train, valid, seed=1, test=sides.test, **options)
        kind = {"sms": sms, "meli": meli}[task]
        frame = kind.load(400)
        sides = kind.split(frame, 1).take(frame)
        train, valid = sides.train.head(20 * config.batch_size), sides.valid
        named = {"categories": meli.categories(frame)} if task == "meli" else {}
        return kind.fit(config, train, valid, seed=1, **named, **options)


def answers(model) -> np.ndarray:
    """What a model predicts for TEXTS."""
    if isinstance(model, sick.SimilarityModel):
        return model.similarity(TEXTS, TEXTS[::-1])
    return model.predict_proba(TEXTS)


def losses(history) -> np.ndarray:
    """(epochs, 2) of training and validation."""
    return np.array([[row["train_loss"], row["valid_loss"]] for row in history.rows])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", CONFIGS)
def test_training_runs_where_device_says_and_answers_come_back_to_the_cpu(task, device):
    model, history = fitted(task, device)
    assert {str(p.device) for p in model.network.parameters()} == {device}
    assert np.isfinite(losses(history)).all()
    assert np.isfinite(answers(model)).all()
    assert model.encode(TEXTS).dtype == np.float32
    assert losses(fitted(task, device)[1]) == pytest.approx(losses(history), abs=0 if device == "cpu" else 1e-3)


@needs_cuda
@pytest.mark.parametrize("task", CONFIGS)
def test_twenty_steps_on_cuda_give_the_loss_of_the_cpu(task):
    here, there = (fitted(task, device, dropout=False)[1] for device in ("cpu", CUDA[0] if CUDA else "cpu"))
    assert losses(there) == pytest.approx(losses(here), abs=1e-3)


@pytest.mark.parametrize(("first", "second"), itertools.product(DEVICES, DEVICES))
@pytest.mark.parametrize("task", CONFIGS)
def test_a_model_saved_on_one_device_loads_on_another(task, first, second, tmp_path):
    model, _ = fitted(task, first)
    with settings.environment(DEVICE=second):
        loaded = MODELS[task].load(model.save(tmp_path / "model"))
    assert {str(p.device) for p in loaded.network.parameters()} == {second}
    assert answers(loaded) == pytest.approx(answers(model), abs=1e-4)
    assert answers(loaded.to(first)) == pytest.approx(answers(model), abs=1e-5)


class _StopError(Exception):
    """An interruption."""


def stop(row: dict) -> None:
    """Interrupt a training after its first epoch."""
    raise _StopError


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", CONFIGS)
def test_an_interrupted_training_ends_as_an_unbroken_one(task, device, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path / "unbroken"))
    monkeypatch.setenv("CHECKPOINT_SECONDS", "1e-9")
    whole, history = fitted(task, device, epochs=2)
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path / "broken"))
    with pytest.raises(_StopError):
        fitted(task, device, epochs=2, on_epoch=stop)
    assert "retomado" not in capsys.readouterr().out
    resumed, after = fitted(task, device, epochs=2)
    assert "entrenamiento retomado: época 2" in capsys.readouterr().out
    exact = {"abs": 0, "rel": 0} if device == "cpu" else {"abs": 1e-3}
    assert losses(after) == pytest.approx(losses(history), **exact)
    assert answers(resumed) == pytest.approx(answers(whole), **exact)


@needs_cuda
def test_a_checkpoint_of_another_device_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path))
    monkeypatch.setenv("CHECKPOINT_SECONDS", "1e-9")
    with pytest.raises(_StopError):
        fitted("sms", "cpu", epochs=2, on_epoch=stop)
    fitted("sms", CUDA[0], epochs=2)
    assert "device was 'cpu', is 'cuda'" in capsys.readouterr().out


@needs_cuda
@pytest.mark.parametrize("task", CONFIGS)
def test_mixed_precision_stays_finite(task, monkeypatch):
    from accelerate.state import AcceleratorState

    from helpers.model import distributed

    for name in ("THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("DEVICE", CUDA[0])
    try:
        engine = distributed.start(mixed_precision="bf16")
        model, history = fitted(task, CUDA[0], trainer=partial(distributed.fit_on, engine))
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert np.isfinite(losses(history)).all()
    assert np.isfinite(answers(model)).all()
