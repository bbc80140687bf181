"""Epochs of SMS and SICK: dense recurrences on batches of similar length against packed random batches."""

from dataclasses import replace

import torch
from torch.utils.data import Dataset

from benchmarks.harness import Outcome, Row, Side, Sizes, alternate, details
from benchmarks.references import packed_twin
from helpers import settings
from helpers.data.batching import make_loader
from helpers.data.corpora import ENTAILMENTS
from helpers.model.metrics import to_similarity
from helpers.model.training import Step, classification_step, train_epoch
from helpers.report.results import describe_data
from helpers.tasks import sick, sms
from helpers.tasks.sick import SimilarityModel, make_step

GOAL = 1.5
ROUNDS = 3  # times those of the other comparisons: a short epoch varies with all else that the machine does


def both_sides(network: torch.nn.Module, data: Dataset, batch_size: int, strategy: str, step: Step, clip) -> dict:
    """An epoch of the network as its task trains it, and of its packed twin on random batches."""

    def side(model: torch.nn.Module, how: str) -> Side:
        loader = make_loader(data, batch_size, strategy=how, generator=torch.Generator().manual_seed(settings.SEED))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

        def epoch() -> int:
            train_epoch(model, loader, step, [optimizer], clip=clip)
            return len(data)

        return epoch

    twin = packed_twin(network)
    return {"ours": side(network, strategy), "reference": side(twin, "random")}


def sms_sides(name: str, rows: int | None) -> tuple[dict[str, Side], dict]:
    """An epoch over the training side of split 0."""
    config = sms.CONFIGS[name]
    frame = sms.load(rows)
    split = sms.split(frame, settings.SEED, valid_share=0)
    train = frame.iloc[split.train]
    settings.seed_everything(settings.SEED)
    model = sms.untrained(config, train["text"].to_numpy(), settings.SEED)
    data = model.dataset(train["text"].to_numpy(), train["target"])
    step = classification_step(label_smoothing=config.label_smoothing)
    sides = both_sides(model.network, data, config.batch_size, config.batches, step, config.clip)
    return sides, describe_data(sms=frame)


def sick_sides(name: str, rows: int | None) -> tuple[dict[str, Side], dict]:
    """An epoch over the training side of fold 0."""
    config = sick.CONFIGS[name]
    frame = sick.load()
    chosen = sick.split(frame, "cv0", rows=rows).take(frame)
    settings.seed_everything(settings.SEED)
    words = sick.words_of(config, chosen, settings.SEED)
    model = SimilarityModel(config, words.reader.vocabulary, words.matrix)
    targets = to_similarity(chosen.train["relatedness"])
    labels = [ENTAILMENTS.index(label) for label in chosen.train["entailment"]]
    data = model.dataset(*sick.sentences(chosen.train), targets=targets, labels=labels)
    sides = both_sides(model.network, data, config.batch_size, "sorted", make_step(config), config.clip)
    return sides, describe_data(sick=chosen.train)


def run(sizes: Sizes) -> Outcome:
    """The assignment's LSTM and our best on SMS, our best on SICK."""
    rows, found, data = [], {}, {}
    for corpus, name, make in (("sms", "lstm", sms_sides), ("sms", "best", sms_sides), ("sick", "best", sick_sides)):
        sides, read = make(name, sizes.rows)
        rounds = alternate(sides, replace(sizes, rounds=ROUNDS * sizes.rounds))
        unit = "pairs/s" if corpus == "sick" else "messages/s"
        rates = (rounds["ours"].rate, rounds["reference"].rate)
        what = f"an epoch of {corpus.upper()}, {name}, against packed random batches"
        rows.append(Row(f"{corpus}.epoch_{name}", what, unit, *rates, goal=GOAL))
        found[f"{corpus}_{name}"] = details(rounds)
        data |= read
    return Outcome(rows, found, data)
