"""Titles per second of inference, and the time that a single one takes."""

import time

import numpy as np
from sklearn.pipeline import Pipeline

from benchmarks import references
from benchmarks.corpus import Titles, best_model, titles, word_config
from benchmarks.harness import Outcome, Row, Sizes, alternate, details
from helpers.model.baselines import MELI_BASELINES
from helpers.tasks.meli import MeliModel
from helpers.tasks.meli_studies import BEST_BASELINE

SLOWEST_MS = 5.0


def quick_baseline(known: Titles) -> Pipeline:
    """The best linear baseline with all its features and weights after one pass: as fast as after all of them."""
    pipeline = MELI_BASELINES[BEST_BASELINE]()
    pipeline[-1].set_params(max_iter=1, tol=None)
    train = known.frame.iloc[known.split.train]
    return pipeline.fit(train["title"].to_numpy(), train["target"].to_numpy())


def milliseconds(model: MeliModel, raw: list[str]) -> list[float]:
    """Time of every title alone, with its likeliest categories."""
    taken = []
    for title in raw:
        start = time.perf_counter()
        model.top([title])
        taken.append(1000 * (time.perf_counter() - start))
    return taken


def single_rows(models: dict[str, MeliModel], raw: list[str], sizes: Sizes) -> list[Row]:
    """Median and 99th percentile of single predictions; medians over the rounds."""
    for model in models.values():
        milliseconds(model, raw[:20])
    taken = {name: [] for name in models}
    for number in range(sizes.rounds):
        for name in list(models)[:: -1 if number % 2 else 1]:
            taken[name].append(np.percentile(milliseconds(models[name], raw), [50, 99]))
    rows = []
    for name, rounds in taken.items():
        half, most = np.median(rounds, axis=0)
        rows.append(Row(f"meli.single_{name}_p50", f"a single title, {name}, median", "ms", half, lower_is_better=True))
        rows.append(Row(f"meli.single_{name}_p99", f"a single title, {name}, p99", "ms", most, None, SLOWEST_MS, True))
    return rows


def run(sizes: Sizes) -> Outcome:
    """From raw titles to classes, all models; then one title at a time."""
    known = titles(sizes.titles)
    raw = known.valid_titles(sizes.inferred)
    texts = raw.to_numpy()
    models = {"words": known.model(word_config(freeze=True)), "best": best_model(known)}
    course, baseline = known.course_model(freeze=True), quick_baseline(known)
    index, stop_words = known.reader.vocabulary.index, known.reader.stop_words
    rounds = alternate(
        {
            "words": lambda: len(models["words"].predict_proba(texts).argmax(1)),
            "best": lambda: len(models["best"].predict_proba(texts).argmax(1)),
            "recipe": lambda: len(references.predict(course, raw, index, stop_words)),
            "peer": lambda: len(baseline.predict(texts)),
        },
        sizes,
    )
    rate = {name: side.rate for name, side in rounds.items()}
    of_words, of_best = "inference, BiLSTM 128 on words", "inference, our best BiLSTM"
    rows = [
        Row("meli.inference", f"{of_words}, against the recipe", "titles/s", rate["words"], rate["recipe"], goal=5),
        Row("meli.inference_peer", f"{of_words}, against {BEST_BASELINE}", "titles/s", rate["words"], rate["peer"]),
        Row("meli.inference_best", f"{of_best}, against {BEST_BASELINE}", "titles/s", rate["best"], rate["peer"]),
        *single_rows(models, texts[: sizes.singles].tolist(), sizes),
    ]
    return Outcome(rows, details(rounds) | {"titles": len(texts)}, known.data)
