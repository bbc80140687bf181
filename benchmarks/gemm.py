"""Share of the machine's rate of matrix products that our training reaches, and where the rest of the time goes."""

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.corpus import Titles, titles, word_config
from benchmarks.harness import Outcome, Row, Side, Sizes, alternate, details
from benchmarks.training import our_windows
from helpers import settings
from helpers.model.training import train_epoch
from helpers.tasks import meli

GIGA = 1e9
SHOWN = 15  # operations of the profile


def lstm_operations(inputs, weight_input, weight_hidden, *_, out_shape=None, **__) -> int:
    """Multiplications and additions of one oneDNN LSTM layer, forward; inputs (time, batch, size) as shapes."""
    time, batch, _ = inputs
    return 2 * time * batch * (weight_input[0] * weight_input[1] + weight_hidden[0] * weight_hidden[1])


def lstm_backward_operations(*shapes, **named) -> int:
    """Gradients of inputs and of weights: twice the forward products."""
    return 2 * lstm_operations(*shapes, **named)


def counter() -> FlopCounterMode:
    """torch's counter of matrix products, with the fused LSTM of the CPU added."""
    aten = torch.ops.aten
    fused = {aten.mkldnn_rnn_layer: lstm_operations, aten.mkldnn_rnn_layer_backward: lstm_backward_operations}
    return FlopCounterMode(display=False, custom_mapping=fused)


def product(rows: int, inner: int, columns: int, repeat: int) -> Side:
    """A round of so many products, and its operations in units of 10^9."""
    left, right, out = torch.randn(rows, inner), torch.randn(inner, columns), torch.empty(rows, columns)

    def side() -> float:
        for _ in range(repeat):
            torch.mm(left, right, out=out)
        return 2 * rows * inner * columns * repeat / GIGA

    return side


def spent(call: Side) -> list[dict]:
    """Where the CPU time of a call goes: operation, calls, milliseconds, share, largest first."""
    with profile(activities=[ProfilerActivity.CPU]) as taken:
        call()
    events = sorted(taken.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events) or 1.0
    return [
        {
            "operation": event.key,
            "calls": event.count,
            "ms": event.self_cpu_time_total / 1000,
            "share": event.self_cpu_time_total / total,
        }
        for event in events[:SHOWN]
    ]


def training(known: Titles, sizes: Sizes, *, freeze: bool) -> Side:
    """A round: training on one window of batches, always the same; returns its number of titles."""
    model = known.model(word_config(freeze=freeze))
    optimizers, _ = meli.make_optimizers(model.config, model.network, 1)
    window, step = next(our_windows(known, model, sizes)), meli.titles_step(0.0)
    return lambda: len(train_epoch(model.network, window, step, optimizers)[0].targets)


def run(sizes: Sizes) -> Outcome:
    """Count the operations of a window of batches, time it beside square products, then profile both kinds."""
    known = titles(sizes.titles)
    kinds = {"trainable": training(known, sizes, freeze=False), "frozen": training(known, sizes, freeze=True)}
    with counter() as counted:
        kinds["trainable"]()
    work = counted.get_total_flops() / GIGA

    def ours() -> float:
        kinds["trainable"]()
        return work

    side = sizes.gemm
    rounds = alternate({"ours": ours, "reference": product(side, side, side, 20)}, sizes)
    shapes = {"inputs": (128 * 7, 300, 512), "states": (128, 128, 512), "scores": (128, 256, len(known.categories))}
    small = alternate({name: product(*shape, 200) for name, shape in shapes.items()}, sizes)
    tables = {name: spent(call) for name, call in kinds.items()}
    row = Row(
        "meli.gemm_share", "matrix products of training, against one large product", "GFLOP/s", rounds["ours"].rate,
        rounds["reference"].rate, goal=0.5,
    )  # fmt: skip
    facts = {
        "operations_per_window": {str(name): int(n) for name, n in counted.get_flop_counts()["Global"].items()},
        "products": {name: {"shape": shapes[name], "gflops": of.rate} for name, of in small.items()},
        "profile": tables,
        "torch_threads": settings.threads(),
    }
    shown = [_shown(name, table) for name, table in tables.items()]
    return Outcome([row], details(rounds) | facts, known.data, [*shown, _shown_products(facts["products"])])


def _shown(name: str, table: list[dict]) -> str:
    lines = [f"{r['share']:6.1%}  {r['ms']:10.1f} ms  {r['calls']:8,}  {r['operation']}" for r in table]
    return "\n".join([f"gemm: where the time of a window of training goes, {name} embeddings (own CPU time)", *lines])


def _shown_products(products: dict) -> str:
    lines = [f"{of['gflops']:8.1f} GFLOP/s  {name} {of['shape']}" for name, of in products.items()]
    return "\n".join(["gemm: products of the shapes of a step, alone", *lines])
