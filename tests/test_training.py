import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from helpers.data.batching import EncodedTexts, make_loader
from helpers.data.text import Vocabulary, tokenize
from helpers.model.metrics import binary_metrics
from helpers.model.networks import RecurrentEncoder, TextClassifier, TokenEmbedding
from helpers.model.training import History, Loaders, NonFiniteLoss, classification_step, evaluate, fit, train_epoch

TEXTS = [f"{'gana premio ya' if i % 3 == 0 else 'nos vemos'} {'luego ' * (i % 5)}" for i in range(40)]
TARGETS = [int(i % 3 == 0) for i in range(40)]
VOCABULARY = Vocabulary.build(map(tokenize, TEXTS))


def data():
    return EncodedTexts(TEXTS, TARGETS, VOCABULARY)


def classifier(seed=0):
    torch.manual_seed(seed)
    return TextClassifier(TokenEmbedding(len(VOCABULARY), 6), RecurrentEncoder(6, 5), num_classes=2, dropout=0.1)


def metrics(targets, logits):
    return binary_metrics(targets.numpy(), logits.argmax(-1).numpy())


def run(epochs=6, seed=0, **kwargs):
    model = classifier(seed)
    loaders = Loaders(make_loader(data(), 7, generator=torch.Generator().manual_seed(seed)), make_loader(data(), 16))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    history = fit(
        model, loaders, classification_step(), optimizers=[optimizer], epochs=epochs, metrics=metrics, **kwargs
    )
    return model, history


def test_it_learns_a_rule():
    _, history = run()
    assert history.rows[-1]["valid_accuracy"] == 1
    assert history.rows[-1]["train_loss"] < history.rows[0]["train_loss"]


@pytest.mark.parametrize("batch_size", [1, 7, 40])
@pytest.mark.parametrize("strategy", ["random", "sorted", "equal"])
def test_evaluation_is_weighted_by_example_and_in_row_order(batch_size, strategy):
    model = classifier().eval()
    got = evaluate(model, make_loader(data(), batch_size, strategy=strategy), classification_step())
    logits = torch.cat([model(data().__getitems__([i])) for i in range(40)]).detach().double()
    torch.testing.assert_close(got.outputs.double(), logits, rtol=1e-5, atol=1e-6)
    assert got.targets.tolist() == TARGETS
    assert got.loss == pytest.approx(log_loss(TARGETS, logits.softmax(-1).numpy()), rel=1e-5)
    assert metrics(got.targets, got.outputs)["accuracy"] == accuracy_score(TARGETS, logits.argmax(-1))


def test_the_same_seeds_give_identical_weights_and_history():
    (first, one), (second, two) = run(), run()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    timing = ["seconds", "iterations_per_second"]
    assert one.frame().drop(columns=timing).equals(two.frame().drop(columns=timing))
    assert not torch.equal(next(run(seed=1)[0].parameters()), next(first.parameters()))


def test_the_weights_kept_are_those_of_the_best_epoch():
    model, history = run(epochs=8, watch="valid_loss")
    losses = history.frame()["valid_loss"]
    assert history.best_epoch == losses.idxmin() + 1
    assert evaluate(model, make_loader(data(), 16), classification_step()).loss == pytest.approx(losses.min())


def test_patience_stops_after_epochs_without_improvement():
    model = classifier()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.output.bias.requires_grad_(True)
    loaders = Loaders(make_loader(data(), 7), make_loader(data(), 16))
    frozen = torch.optim.SGD(model.parameters(), lr=0.0)
    history = fit(model, loaders, classification_step(), optimizers=[frozen], epochs=9, metrics=metrics, patience=2)
    assert (history.best_epoch, len(history.rows)) == (1, 3)


def test_without_validation_all_epochs_run():
    model = classifier()
    optimizer = torch.optim.Adam(model.parameters())
    loaders = Loaders(make_loader(data(), 7), None)
    history = fit(model, loaders, classification_step(), optimizers=[optimizer], epochs=3, metrics=metrics, patience=1)
    assert history.best_epoch == len(history.rows) == 3
    assert not any(name.startswith("valid") for name in history.rows[0])


def test_averaged_weights_lag_behind_and_are_what_is_kept():
    torch.manual_seed(0)
    start = classifier().output.bias.detach().clone()
    plain, _ = run(epochs=1, watch="valid_loss")
    slow, _ = run(epochs=1, ema=0.999)
    assert 0 < (slow.output.bias - start).abs().sum() < (plain.output.bias - start).abs().sum()


def test_a_loss_that_is_not_finite_stops_and_names_the_rows():
    model = classifier()
    nn.init.constant_(model.output.bias, float("nan"))
    optimizer = torch.optim.Adam(model.parameters())
    loaders = Loaders(make_loader(data(), 7), None)
    with pytest.raises(NonFiniteLoss, match=r"batch 0 \(rows \["):
        fit(model, loaders, classification_step(), optimizers=[optimizer], epochs=1, metrics=metrics)


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
def test_a_gradient_that_is_not_finite_stops_and_names_the_rows(slope):
    with pytest.raises(NonFiniteLoss, match=r"gradient is not finite at batch 0 \(rows \["):
        one_batch(slope)


def test_finite_gradients_whose_sum_overflows_are_fine():
    one_batch((3e38, 3e38))


def one_batch(slope):
    model = classifier()

    def step(model, batch):
        return Sloped.apply(model.output.bias, torch.tensor(slope)), model(batch)

    train_epoch(model, make_loader(data(), 40), step, [torch.optim.SGD(model.parameters(), lr=0.0)])


def test_clipping_bounds_the_step():
    model = classifier()
    before = [p.detach().clone() for p in model.parameters()]
    loaders = Loaders(make_loader(data(), 40), None)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    fit(model, loaders, classification_step(), optimizers=[sgd], epochs=1, metrics=metrics, clip=1e-3)
    moved = torch.cat([(p - q).detach().flatten() for p, q in zip(model.parameters(), before, strict=True)])
    assert moved.norm() == pytest.approx(1e-3, rel=1e-3)


def test_class_weights_and_smoothing():
    model, batch = classifier().eval(), data().__getitems__([0, 1, 2])
    logits = model(batch)
    weights = torch.tensor([1.0, 3.0])
    expected = [
        w * nn.functional.cross_entropy(logits[i], batch.targets[i], label_smoothing=0.1)
        for i, w in enumerate(weights[batch.targets])
    ]
    loss, _ = classification_step(label_smoothing=0.1, class_weights=weights)(model, batch)
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def test_history_in_one_line_and_as_a_table():
    history = History(
        [{"epoch": 1, "seconds": 2.0, "iterations_per_second": 12.4, "train_loss": 0.5, "valid_loss": 0.25}]
    )
    assert history.line(history.rows[-1], 3) == "época 1/3 · 2.0 s · 12.4 it/s · pérdida 0.5000 · pérdida val 0.2500"
    assert history.frame().shape == (1, 5)
