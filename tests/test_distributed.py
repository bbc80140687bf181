"""Training in two processes: the numbers of one, one writer, and what is left when a process dies."""

import json
import multiprocessing
import os
import re
import signal
import socket
from contextlib import nullcontext

import pytest
import torch

from helpers.data.batching import EncodedTexts, make_loader
from helpers.data.text import Vocabulary, tokenize
from helpers.model.distributed import LostProcess, Shares, fit_on, start, threads_per_process
from helpers.model.metrics import multiclass_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.recovery import Recovery
from helpers.model.training import Loaders, classification_step, fit

TEXTS = [f"{'gana premio ya' if i % 3 == 0 else 'nos vemos'} {'luego ' * (i % 5)}" for i in range(41)]
VOCABULARY = Vocabulary.build(map(tokenize, TEXTS))
BATCHES, EPOCHS, SECONDS = 9, 3, 300  # training batches an epoch; SECONDS is far more than two processes need


def metrics(targets, classes):
    return multiclass_metrics(targets.numpy(), classes.numpy())


def classes_of(logits):
    return logits.argmax(-1)


def texts():
    return EncodedTexts(TEXTS, [int(i % 3 == 0) for i in range(41)], VOCABULARY)


def parts(dropout=0.0):
    """Row-sparse and dense gradients, schedules, batches of many sizes: some hold one row, and none for process 1."""
    torch.manual_seed(1)
    embedding = TokenEmbedding(len(VOCABULARY), 6, sparse=True)
    model = TextClassifier(embedding, RecurrentEncoder(6, 5), num_classes=2, dropout=dropout)
    train = make_loader(texts(), 7, strategy="equal", generator=torch.Generator().manual_seed(1))
    loaders = Loaders(train, make_loader(texts(), 20))
    dense = [p for p in model.parameters() if p is not embedding.words.weight]
    optimizers = [torch.optim.AdamW(dense, lr=0.03), torch.optim.SparseAdam([embedding.words.weight], lr=0.05)]
    schedulers = [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 / (1 + n / 9)) for optimizer in optimizers]
    options = {"watch": "valid_loss", "ema": 0.8, "epochs": EPOCHS, "metrics": metrics}
    return model, loaders, options | {"optimizers": optimizers, "schedulers": schedulers}


def reduced_step(network, batch):
    loss, logits = classification_step(label_smoothing=0.1)(network, batch)
    return loss, classes_of(logits)


def without_seconds(rows):
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def one_process():
    model, loaders, options = parts()
    history = fit(model, loaders, reduced_step, **options)
    return without_seconds(history.rows), model.state_dict()


def process(rank, folder, port, die_after, dropout):
    """What one of two processes does; it writes what it saw to <folder>/<rank>.json, and its weights beside it."""
    torch.set_num_threads(1)
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in places.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    engine = start(cpu=True, timeout=120)
    model, loaders, options = parts(dropout)
    sizes, reported, said = [], [], []
    outcome = {"lost": None}

    def step(network, batch):
        if network.training:
            if rank == 1 and len(sizes) == die_after:
                os.kill(os.getpid(), signal.SIGKILL)
            sizes.append(len(batch))
        return classification_step(label_smoothing=0.1)(network, batch)

    recovery = nullcontext() if rank else Recovery(folder / "kept", {"seed": 1}, every=0.0, say=said.append)
    try:
        with recovery as kept:
            history = fit_on(
                engine, model, loaders, step, reduce=classes_of, on_epoch=reported.append, recovery=kept, **options
            )
        outcome |= {"rows": without_seconds(history.rows), "best": history.best_epoch, "sizes": sizes}
        torch.save(model.state_dict(), folder / f"{rank}.pt")
        engine.end_training()
    except LostProcess as error:
        outcome["lost"] = str(error)
    outcome |= {"reported": len(reported), "said": said}
    (folder / f"{rank}.json").write_text(json.dumps(outcome))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def two_processes(folder, *, die_after=None, dropout=0.0):
    """Outcomes and exit codes of both; none may hang."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["helpers.model.distributed", "sklearn.metrics", "torch._dynamo"])
    folder.mkdir(exist_ok=True)
    port = free_port()
    both = [context.Process(target=process, args=(rank, folder, port, die_after, dropout)) for rank in (0, 1)]
    for child in both:
        child.start()
    try:
        for child in both:
            child.join(SECONDS)
        assert not any(child.is_alive() for child in both), "a process hangs"
    finally:
        for child in both:
            child.kill()
    outcomes = [folder / f"{rank}.json" for rank in (0, 1)]
    return [json.loads(path.read_text()) if path.exists() else None for path in outcomes], [c.exitcode for c in both]


def weights(folder, rank):
    return torch.load(folder / f"{rank}.pt", weights_only=True)


def assert_close(rows, expected):
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


def test_two_processes_get_the_history_and_weights_of_one_and_one_of_them_tells(tmp_path):
    rows, state = one_process()
    (first, second), codes = two_processes(tmp_path)
    assert codes == [0, 0]
    assert_close(first["rows"], rows)
    assert first["rows"] == second["rows"]
    assert first["best"] == second["best"] == min(range(1, EPOCHS + 1), key=lambda n: rows[n - 1]["valid_loss"])
    assert (first["reported"], second["reported"]) == (EPOCHS, 0)
    assert sum(first["sizes"]) + sum(second["sizes"]) > 41 * EPOCHS  # each had its own rows, and both the single ones
    assert max(first["sizes"]) == 4  # of batches of 7
    for name, tensor in state.items():
        torch.testing.assert_close(weights(tmp_path, 0)[name], tensor, atol=1e-4, rtol=1e-4)
        assert torch.equal(weights(tmp_path, 0)[name], weights(tmp_path, 1)[name]), name
    assert not (tmp_path / "kept").exists()


def test_a_killed_process_ends_the_other_with_the_reason_and_both_resume_to_the_same_numbers(tmp_path):
    (whole, _), codes = two_processes(tmp_path / "whole", dropout=0.3)
    assert codes == [0, 0]
    (first, dead), codes = two_processes(tmp_path / "cut", die_after=BATCHES + 3, dropout=0.3)
    assert codes == [0, -signal.SIGKILL]
    assert dead is None
    assert "process 0 of 2 lost another one" in first["lost"]
    assert "start all of them again with the same command" in first["lost"]
    (first, second), codes = two_processes(tmp_path / "cut", dropout=0.3)
    assert codes == [0, 0]
    done = int(re.fullmatch(r"entrenamiento retomado: época 2, (\d) lotes ya hechos", *first["said"])[1])
    assert done in (2, 3)  # the last batch before the kill may have reached one process only
    assert len(first["sizes"]) == len(second["sizes"]) == BATCHES * (EPOCHS - 1) - done
    assert first["rows"] == second["rows"] == whole["rows"]
    for rank in (0, 1):
        for name, tensor in weights(tmp_path / "whole", 0).items():
            assert torch.equal(weights(tmp_path / "cut", rank)[name], tensor), name


def test_alone_it_is_fit_bit_by_bit(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")  # which start() sets
    rows, state = one_process()
    model, loaders, options = parts()
    reported = []
    history = fit_on(
        start(cpu=True), model, loaders, classification_step(label_smoothing=0.1), reduce=classes_of,
        on_epoch=reported.append, **options,
    )  # fmt: skip
    assert without_seconds(history.rows) == without_seconds(reported) == rows
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_hold_every_row_once(count):
    rows = [4, 9, 1, 30, 7]
    shares = [Shares(texts(), index, count).__getitems__(rows) for index in range(count)]
    assert all(share.rows.tolist() == rows and len(share) == 5 for share in shares)
    assert sorted(row for share in shares if share.weight for row in share.part.rows.tolist()) == sorted(rows)
    assert sum(share.weight for share in shares) == pytest.approx(1)
    assert all(len(share.part) for share in shares)


@pytest.mark.parametrize(("cores", "processes", "threads"), [(2, 1, 2), (2, 2, 1), (16, 4, 2), (2, 8, 1)])
def test_the_processes_of_a_host_share_its_cores(monkeypatch, cores, processes, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    monkeypatch.delenv("THREADS", raising=False)
    assert threads_per_process() == threads


def test_precisions_that_fit_does_not_know_are_refused(monkeypatch):
    monkeypatch.setenv("DEVICE", "cpu")
    with pytest.raises(ValueError, match="'fp16' is not one of no, bf16"):
        start(mixed_precision="fp16")
    with pytest.raises(ValueError, match="needs a GPU"):
        start(cpu=True, mixed_precision="bf16")
