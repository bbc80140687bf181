from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from helpers.data.batching import EncodedTexts, make_loader
from helpers.data.text import Vocabulary, tokenize
from helpers.model import training
from helpers.model.explain import gradient_by_distance, token_occlusion
from helpers.model.metrics import binary_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.scoring import class_scores
from helpers.model.training import History, Loaders, NonFiniteLoss, classification_step, evaluate, fit, train_epoch

TEXTS = [f"{'gana premio ya' if i % 3 == 0 else 'nos vemos'} {'luego ' * (i % 5)}" for i in range(40)]
TARGETS = [int(i % 3 == 0) for i in range(40)]
VOCABULARY = Vocabulary.build(map(tokenize, TEXTS))


def data():
    return EncodedTexts(TEXTS, TARGETS, VOCABULARY)


def classifier(seed=0, dropout=0.1):
    torch.manual_seed(seed)
    return TextClassifier(TokenEmbedding(len(VOCABULARY), 6), RecurrentEncoder(6, 5), num_classes=2, dropout=dropout)


def metrics(targets, logits):
    return binary_metrics(targets.numpy(), logits.argmax(-1).numpy())


def shuffled(seed=0):
    return make_loader(data(), 7, generator=torch.Generator().manual_seed(seed))  # five batches of 7 and one of 5


def run(epochs=6, seed=0, **kwargs):
    model = classifier(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    loaders = Loaders(shuffled(seed), make_loader(data(), 16))
    history = fit(
        model, loaders, classification_step(), optimizers=[optimizer], epochs=epochs, metrics=metrics, **kwargs
    )
    return model, history


def plain_epoch(model, *, rate, factor=lambda k: 1.0, clip=None, ema=None, smoothing=0.0, weights=(1.0, 1.0)):
    """An epoch of gradient descent written out, each row by itself: mean loss, gradient norms, weights to be kept."""
    total, norms, kept = 0.0, [], None
    for k, batch in enumerate(shuffled()):
        losses = []
        for row in batch.rows.tolist():
            log_p = model(data().__getitems__([row])).log_softmax(-1)[0]
            target = torch.full((2,), smoothing / 2, dtype=torch.double)
            target[TARGETS[row]] += 1 - smoothing
            losses.append(-(target * log_p).sum() * weights[TARGETS[row]])
        gradient = torch.autograd.grad(sum(losses) / len(losses), list(model.parameters()))
        norms.append(torch.cat([g.flatten() for g in gradient]).norm().item())
        scale = 1.0 if clip is None else min(1.0, clip / norms[-1])
        with torch.no_grad():
            for parameter, g in zip(model.parameters(), gradient, strict=True):
                parameter -= rate * factor(k) * scale * g
        now = [parameter.detach().clone() for parameter in model.parameters()]
        mixed = (
            now if kept is None or ema is None else [ema * a + (1 - ema) * b for a, b in zip(kept, now, strict=True)]
        )
        kept = mixed
        total += sum(loss.item() for loss in losses)
    return total / len(TEXTS), norms, kept


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip": 0.15},
        {"ema": 0.7},
        {"factor": lambda k: 1 / (1 + k)},
        {"smoothing": 0.2},
        {"weights": (0.5, 4.0)},
        {"clip": 0.2, "ema": 0.5, "factor": lambda k: (k + 1) / 3, "smoothing": 0.1, "weights": (1.0, 2.0)},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_an_epoch_is_that_of_a_plain_loop(options):
    loss, norms, kept = plain_epoch(classifier(dropout=0.0).double(), rate=0.5, **options)
    model, passed = classifier(dropout=0.0).double(), dict(options)
    sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    factor = passed.pop("factor", None)
    schedulers = [] if factor is None else [torch.optim.lr_scheduler.LambdaLR(sgd, factor)]
    weights = torch.tensor(passed.pop("weights", (1.0, 1.0)))
    step = classification_step(label_smoothing=passed.pop("smoothing", 0.0), class_weights=weights)
    loaders = Loaders(shuffled(), make_loader(data(), 16))
    history = fit(model, loaders, step, optimizers=[sgd], schedulers=schedulers, epochs=1, metrics=metrics, **passed)
    (row,) = history.rows
    assert row["train_loss"] == pytest.approx(loss, rel=1e-7)
    for got, expected in zip(model.parameters(), kept, strict=True):
        torch.testing.assert_close(got.detach(), expected, rtol=1e-5, atol=1e-7)
    assert row["valid_loss"] == pytest.approx(evaluate(model, make_loader(data(), 40), step).loss, rel=1e-9)
    if "clip" in options:
        assert min(norms) < options["clip"] < max(norms), "the case must clip some batches and leave others"
        assert row["gradient_norm_max"] == pytest.approx(max(norms), rel=1e-6)
        assert row["gradient_norm_median"] == pytest.approx(sorted(norms)[2] / 2 + sorted(norms)[3] / 2, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 40])
@pytest.mark.parametrize("strategy", ["random", "sorted", "equal"])
def test_losses_are_means_over_rows_and_outputs_are_in_their_order(batch_size, strategy):
    model = classifier(dropout=0.0)
    logits = torch.cat([model(data().__getitems__([i])) for i in range(40)]).detach().double()
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    loader = make_loader(data(), batch_size, strategy=strategy, generator=torch.Generator().manual_seed(3))
    trained, norms = train_epoch(model, loader, classification_step(), [still])
    evaluated = evaluate(model, make_loader(data(), batch_size, strategy=strategy), classification_step())
    assert norms == []
    for got in (trained, evaluated):
        torch.testing.assert_close(got.outputs.double(), logits, rtol=1e-5, atol=1e-6)
        assert got.targets.tolist() == TARGETS
        assert got.loss == pytest.approx(log_loss(TARGETS, logits.softmax(-1).numpy()), rel=1e-5)
        assert metrics(got.targets, got.outputs)["accuracy"] == accuracy_score(TARGETS, logits.argmax(-1))


def test_it_learns_a_rule():
    _, history = run()
    assert history.rows[-1]["valid_accuracy"] == 1
    assert history.rows[-1]["train_loss"] < history.rows[0]["train_loss"]


def test_the_same_seeds_give_identical_weights_and_history():
    (first, one), (second, two) = run(), run()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    timing = ["seconds", "iterations_per_second"]
    assert one.frame().drop(columns=timing).equals(two.frame().drop(columns=timing))
    assert not torch.equal(next(run(seed=1)[0].parameters()), next(first.parameters()))


@pytest.mark.parametrize(("watch", "higher"), [("valid_loss", False), ("valid_loss", True), ("train_loss", False)])
def test_the_weights_kept_are_those_of_the_best_epoch(watch, higher):
    model, history = run(epochs=5, watch=watch, higher_is_better=higher)
    frame = history.frame()
    assert history.best_epoch == (frame[watch].idxmax() if higher else frame[watch].idxmin()) + 1
    best = frame["valid_loss"][history.best_epoch - 1]
    assert evaluate(model, make_loader(data(), 16), classification_step()).loss == pytest.approx(best)


def test_patience_stops_after_epochs_without_improvement():
    model = classifier()
    loaders = Loaders(make_loader(data(), 7), make_loader(data(), 16))
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    history = fit(model, loaders, classification_step(), optimizers=[still], epochs=9, metrics=metrics, patience=2)
    assert (history.best_epoch, len(history.rows)) == (1, 3)


def test_without_validation_all_epochs_run_and_the_last_weights_are_kept():
    model = classifier()
    optimizer = torch.optim.Adam(model.parameters())
    reported = []
    history = fit(
        model, Loaders(make_loader(data(), 7), None), classification_step(), optimizers=[optimizer], epochs=3,
        metrics=metrics, patience=1, on_epoch=lambda row: reported.append(model.output.bias.tolist()),
    )  # fmt: skip
    assert history.best_epoch == len(history.rows) == 3
    assert model.output.bias.tolist() == reported[-1]
    assert not any(name.startswith("valid") for name in history.rows[0])


def test_dropout_is_on_in_training_and_off_in_evaluation():
    model = classifier(dropout=0.5)
    modes = []

    def step(network, batch):
        modes.append(network.training)
        return classification_step()(network, batch)

    still = torch.optim.SGD(model.parameters(), lr=0.0)
    loaders = Loaders(make_loader(data(), 40), make_loader(data(), 40))
    history = fit(model, loaders, step, optimizers=[still], epochs=2, metrics=metrics)
    first, second = history.rows
    assert modes == [True, False, True, False]
    assert first["train_loss"] != second["train_loss"]
    assert first["valid_loss"] == second["valid_loss"]


class Elsewhere:
    """A batch that is nowhere until it is moved."""

    def __init__(self, batch, moved):
        self._batch, self._moved = batch, moved

    def to(self, device):
        self._moved.append(torch.device(device))
        return self._batch


@pytest.mark.parametrize("use", ["train", "evaluate", "score", "gradient", "occlusion"])
def test_a_batch_is_moved_once_to_where_the_model_is(use, monkeypatch):
    moved, model, texts = [], classifier(), data()
    get = EncodedTexts.__getitems__
    monkeypatch.setattr(EncodedTexts, "__getitems__", lambda self, rows: Elsewhere(get(self, rows), moved))
    still = torch.optim.SGD(model.parameters(), lr=0.0)
    batches = {
        "train": lambda: train_epoch(model, make_loader(texts, 20), classification_step(), [still]),
        "evaluate": lambda: evaluate(model, make_loader(texts, 20), classification_step()),
        "score": lambda: class_scores(model, texts, 40),
        "gradient": lambda: gradient_by_distance(model, texts, steps=2),
        "occlusion": lambda: token_occlusion(model, texts, 0),
    }
    batches[use]()
    expected = {"train": 2, "evaluate": 2, "score": len(set(texts.lengths)), "gradient": 1, "occlusion": 1}[use]
    assert moved == [torch.device("cpu")] * expected


def test_a_loss_that_is_not_finite_stops_and_names_the_rows():
    model = classifier()
    nn.init.constant_(model.output.bias, float("nan"))
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(NonFiniteLoss, match=r"loss is nan at batch 0 \(rows \["):
        fit(
            model, Loaders(make_loader(data(), 7), None), classification_step(), optimizers=[optimizer], epochs=1,
            metrics=metrics,
        )  # fmt: skip


def test_a_validation_loss_that_is_not_finite_stops_and_names_the_epoch():
    def step(network, batch):
        loss, logits = classification_step()(network, batch)
        return loss if network.training else loss * float("inf"), logits

    still = torch.optim.SGD(classifier().parameters(), lr=0.0)
    loaders = Loaders(make_loader(data(), 7), make_loader(data(), 7))
    with pytest.raises(NonFiniteLoss, match="validation loss is inf after epoch 1"):
        fit(classifier(), loaders, step, optimizers=[still], epochs=1, metrics=metrics)


class Sloped(torch.autograd.Function):
    """0, with any gradient one likes."""

    @staticmethod
    def forward(ctx, weights, slope):
        ctx.slope = slope
        return weights.new_zeros(())

    @staticmethod
    def backward(ctx, _):
        return ctx.slope, None


@pytest.mark.parametrize("slope", [(1.0, float("inf")), (float("-inf"), float("inf")), (float("nan"), 0.0)])
def test_a_gradient_that_is_not_finite_stops_before_the_weights_move_and_names_the_rows(slope):
    model = classifier()
    before = model.output.bias.tolist()
    with pytest.raises(NonFiniteLoss, match=r"gradient is not finite at batch 0 \(rows \["):
        one_batch(model, slope)
    assert model.output.bias.tolist() == before


def test_finite_gradients_whose_sum_overflows_are_fine():
    model = classifier()
    one_batch(model, (3e38, 3e38))
    assert torch.isfinite(model.output.bias).all()


def one_batch(model, slope):
    def step(model, batch):
        return Sloped.apply(model.output.bias, torch.tensor(slope)), model(batch)

    train_epoch(model, make_loader(data(), 40), step, [torch.optim.SGD(model.parameters(), lr=1e-38)])


def test_where_looking_waits_for_the_device_the_batch_is_still_named_later(monkeypatch):
    """What happens on CUDA, played on the CPU: losses are looked at every CHECK_EVERY batches and at the end."""
    monkeypatch.setattr(training, "CHECK_EVERY", 4)
    monkeypatch.setattr(training, "device_of", lambda model: SimpleNamespace(type="cuda"))
    monkeypatch.setattr(EncodedTexts, "__getitems__", with_any_device(EncodedTexts.__getitems__))
    monkeypatch.setattr(training, "batches_left", lambda loader, done, device: loader)
    done = []

    def step(model, batch):
        done.append(batch.rows.tolist())
        loss, logits = classification_step()(model, batch)
        return loss * float("nan") if len(done) == bad else loss, logits

    for bad, stopped_after in ((2, 4), (9, 10)):
        done.clear()
        model = classifier()
        still = torch.optim.SGD(model.parameters(), lr=0.0)
        with pytest.raises(NonFiniteLoss, match=rf"loss is nan at batch {bad - 1} \(rows \[") as error:
            train_epoch(model, make_loader(data(), 4), step, [still])
        assert str(done[bad - 1])[1:-1] in str(error.value)
        assert len(done) == stopped_after


def with_any_device(get):
    def moved(self, rows):
        batch = get(self, rows)
        object.__setattr__(batch, "to", lambda device: batch)
        return batch

    return moved


def test_history_in_one_line_and_as_a_table():
    history = History(
        [{"epoch": 1, "seconds": 2.0, "iterations_per_second": 12.4, "train_loss": 0.5, "valid_loss": 0.25}]
    )
    assert history.line(history.rows[-1], 3) == "época 1/3 · 2.0 s · 12.4 it/s · pérdida 0.5000 · pérdida val 0.2500"
    assert history.frame().shape == (1, 5)
