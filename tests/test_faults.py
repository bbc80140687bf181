"""What happens when something goes wrong: the faults that no other file tests (README's table names every test)."""

import json
import multiprocessing
import os
import resource
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from safetensors import SafetensorError

from helpers import settings
from helpers.data import sources
from helpers.data.batching import EncodedTexts, SubwordTitles, WordTitles, make_loader
from helpers.data.corpora import load_sms
from helpers.data.sources import SourceError
from helpers.data.text import Vocabulary, tokenize
from helpers.model.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.training import Loaders, NonFiniteLoss, classification_step, fit
from helpers.report import results, tracking
from helpers.report.notebooks import run_notebook
from helpers.tasks import meli, sick, sms
from helpers.tasks.meli import MeliModel
from helpers.tasks.sick import SimilarityModel
from helpers.tasks.sms import SpamModel

TEXTS = [f"{'gana premio ya' if i % 3 == 0 else 'nos vemos'} {'luego ' * (i % 5)}" for i in range(40)]
TARGETS = [int(i % 3 == 0) for i in range(40)]
SMALL = {"embedding_dim": 6, "hidden_size": 5, "dense": 4}


@pytest.fixture(autouse=True)
def _sample_alone(tmp_path, monkeypatch):
    """Whatever real data are at hand, these tests read the committed sample."""
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))


# Slow server


@pytest.fixture
def dripping():
    """A server that sends a byte now and then, for ever; and what it was asked for."""
    asked, stop = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while not stop.wait(0.02):
                self.wfile.write(b"a")

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # the reader goes away in the middle
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    sources.forget_unreachable()
    yield f"http://127.0.0.1:{server.server_port}/file", asked
    stop.set()
    server.shutdown()
    server.server_close()
    sources.forget_unreachable()


def test_a_server_that_never_ends_is_given_up(dripping, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 0.2)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address, asked = dripping
    with pytest.raises(sources.DownloadError, match="slower than"):
        sources.download(address, tmp_path / "part")
    with pytest.raises(sources.DownloadError, match="not asked again"):
        sources.download(address, tmp_path / "part")
    assert asked == ["/file"]


# Mirror present but empty


def test_an_empty_mirror_gives_the_sample_in_quick_and_one_line_in_full(tmp_path, monkeypatch, capsys):
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    frame = load_sms()
    assert frame.attrs["sample"]
    settings.banner(sms=frame)
    assert "MUESTRA SINTÉTICA" in capsys.readouterr().out.splitlines()[0]
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(SourceError) as error:
        load_sms()
    message = str(error.value)
    assert "\n" not in message
    assert f"{tmp_path / 'mirror/sms/SMSSpamCollection'}: not there" in message
    assert f"put the file at {tmp_path / 'cache/sms/SMSSpamCollection'}" in message
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# All tokens unknown


@pytest.fixture
def classifiers():
    torch.manual_seed(0)
    words, parts = Vocabulary(["hola", "premio"]), SubwordTitles(["=funda", "<f"], ["<s> funda"])
    config = meli.MeliConfig(**SMALL, cell="lstm")
    return [
        SpamModel(sms.SmsConfig(**SMALL), words, None).predict_proba,
        MeliModel(config, WordTitles(words), ["A", "B", "C"]).predict_proba,
        MeliModel(config, parts, ["A", "B", "C"]).predict_proba,
    ]


def test_texts_of_unknown_words_are_answered_all_alike(classifiers):
    for predict_proba in classifiers:
        answers = predict_proba(["wxyz kjhg", "qqrrt vvbb", "hola premio funda"])
        assert np.isfinite(answers).all()
        assert answers[0] == pytest.approx(answers[1], abs=1e-6)
        assert answers[0] != pytest.approx(answers[2], abs=1e-6)


def test_sentences_of_unknown_words_alone_count_as_equal():
    vectors = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    vectors[:2] = 0
    config = sick.SickConfig(hidden_size=5, head_size=4)
    model = SimilarityModel(config, Vocabulary(["dog", "cat"]), vectors)
    first, second, known = model.similarity(["wxyz", "wxyz", "dog"], ["kjhg", "wxyz", "cat"])
    assert first == pytest.approx(second)
    assert first != pytest.approx(known)
    assert model.similar(["wxyz"], ["kjhg"]) == model.similar(["wxyz"], ["wxyz"])


# Unseen category


def test_a_category_that_training_never_saw_is_never_right_and_counts():
    frame = meli.load()
    unseen = frame["target"].max()
    train, test = np.flatnonzero(frame["target"] != unseen), np.flatnonzero(frame["target"] == unseen)
    test = np.concatenate([train[:20], test])
    config = meli.replace(
        meli.BEST, embedding_dim=16, hidden_size=8, batch_size=32, epochs=3, sparse_lr=2e-2, lr=1e-2, dropout=0.1
    )
    model, _ = meli.fit(config, frame.iloc[train], None, seed=1, categories=meli.categories(frame))
    assert model.categories == meli.categories(frame)
    predicted = meli.predicted_classes(model, frame["title"].to_numpy()[test])
    assert unseen not in predicted
    known = frame["target"].iloc[test].to_numpy() != unseen
    recalls = [np.mean(predicted[known & (target == frame["target"].iloc[test])] == target)
               for target in frame["target"].iloc[test][known].unique()]  # fmt: skip
    score = meli.scored(frame["target"].iloc[test], predicted)["test_balanced_accuracy"]
    assert score == pytest.approx(sum(recalls) / (len(recalls) + 1))


# NaN loss


def test_a_nan_loss_stops_training_says_which_batch_and_keeps_the_weights_before_it():
    torch.manual_seed(0)
    vocabulary = Vocabulary.build(map(tokenize, TEXTS))
    model = TextClassifier(TokenEmbedding(len(vocabulary), 6), RecurrentEncoder(6, 5), num_classes=2)
    loader = make_loader(EncodedTexts(TEXTS, TARGETS, vocabulary), 7, generator=torch.Generator().manual_seed(0))
    plain, good, rows = classification_step(), [], []

    def step(network, batch):
        loss, outputs = plain(network, batch)
        if network.training:
            good.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
            rows.append(batch.rows.tolist())
        return (loss * float("nan") if len(good) == 9 else loss), outputs

    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    with pytest.raises(NonFiniteLoss, match="loss is nan at batch 2 ") as error:
        fit(model, Loaders(loader, None), step, optimizers=[optimizer], epochs=3, metrics=lambda *_: {})
    assert str(rows[-1][:3])[1:-1] in str(error.value)
    assert len(good) == 9
    for name, tensor in model.state_dict().items():
        assert torch.isfinite(tensor).all()
        assert torch.equal(tensor, good[-1][name])


# Disk full


@contextmanager
def room_for(size: int):
    """No file may grow beyond so many bytes: writing fails as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path):
    save_checkpoint(tmp_path / "model", {"weight": torch.ones(3)}, {"task": "sms"})
    with room_for(4096), pytest.raises((CheckpointError, SafetensorError), match="File too large"):
        save_checkpoint(tmp_path / "model", {"weight": torch.zeros(5000)}, {"task": "sms"})
    with room_for(4096), pytest.raises((CheckpointError, OSError), match="File too large"):
        save_checkpoint(tmp_path / "model", {"weight": torch.zeros(3)}, {"task": "sms", "tokens": ["palabra"] * 5000})
    assert load_checkpoint(tmp_path / "model", "sms")[0]["weight"].tolist() == [1, 1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_keeps_the_results_before_and_the_error_names_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RESULTS_DIR", str(tmp_path))
    path = results.write_results("04_x", {"sms.rnn.f1": 0.5})
    before = path.read_bytes()
    with room_for(4096), pytest.raises(OSError, match=r"File too large: .*04_x\.json") as error:
        results.write_results("04_x", {f"sms.rnn.f{i}": i for i in range(1000)})
    assert error.value.filename == str(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Two runs on one MLflow store at once


def _track(store: Path, name: str, together) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}"
    together.wait()
    for number in range(3):
        with tracking.run("race", f"{name}{number}", params={"name": name, "number": number}) as tracked:
            for epoch in range(1, 6):
                tracked.epoch({"epoch": epoch, "loss": number + epoch / 10})
            tracked.metrics({"f1": number / 10})


def test_two_processes_share_a_store_from_its_first_moment(tmp_path, monkeypatch):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "mlflow", "sklearn.metrics", "helpers.report.tracking"])
    together = context.Barrier(2)
    store = tmp_path / "new" / "mlflow.db"
    children = [context.Process(target=_track, args=(store, name, together)) for name in "ab"]
    for child in children:
        child.start()
    for child in children:
        child.join(300)
    assert [child.exitcode for child in children] == [0, 0]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    found = tracking.runs("race")
    rows = sorted(zip(found["params.name"], found["params.number"], found["metrics.f1"], strict=True))
    assert rows == [(name, str(number), number / 10) for name in "ab" for number in range(3)]
    assert (found["metrics.epoch/loss"] - found["params.number"].astype(float)).tolist() == pytest.approx([0.5] * 6)


# Notebook executed with the wrong kernel or from another folder


def test_a_notebook_runs_by_this_python_in_its_own_folder(tmp_path, monkeypatch):
    foreign = tmp_path / "jupyter/kernels/python3"
    foreign.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    folder = tmp_path / "notebooks"
    folder.mkdir()
    source = "import os, sys\nfrom importlib.util import find_spec\n"
    source += "print(sys.executable, os.getcwd(), find_spec('helpers').origin, sep='\\n')"
    notebook = new_notebook(cells=[new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "julia-1.9", "language": "julia", "display_name": "Julia 1.9"}
    nbformat.write(notebook, folder / "04_x.ipynb")
    monkeypatch.chdir(tmp_path)
    done = run_notebook(Path("notebooks/04_x.ipynb"), profile="quick", timeout=120)
    wanted = [sys.executable, str(folder), str(settings.ROOT / "helpers/__init__.py")]
    assert done.cells[0].outputs[0].text.split() == wanted
    assert done.metadata["kernelspec"]["name"] == "python3"


def test_paths_do_not_follow_the_working_folder(tmp_path, monkeypatch):
    for name in ("RESULTS_DIR", "ARTIFACTS_DIR", "DATA_CACHE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_MIRROR", "../shared/data")
    places = (settings.results_dir, settings.artifacts_dir, settings.cache_dir, settings.mirror, tracking.store_uri)
    here = [place() for place in places]
    monkeypatch.chdir(tmp_path)
    assert [place() for place in places] == here
