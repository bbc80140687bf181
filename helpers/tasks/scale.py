"""MeLi at any size, up to the course's: titles made from the real ones, from files to an evaluated BiLSTM in streams.

Real titles are drawn again and again, but their rare words are replaced by draws from the tail of a Zipf-Mandelbrot law
with the exponent that belongs to Heaps' law on the real titles; numbers beyond the last real word are invented words.
The set measures time and memory of every stage: a score on it says nothing about MeLi.
"""

import gzip
import json
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers import settings
from helpers.data import encoded
from helpers.data.batching import WordTitles, make_loader
from helpers.data.corpora import MELI_SUBSETS, load_meli
from helpers.data.sources import obtain_or_sample
from helpers.data.text import UNKNOWN, Vocabulary, clean_tokens, stopwords_es
from helpers.files import hash_of, sha256_of, write_text
from helpers.model.training import Loaders, evaluate, fit
from helpers.tasks.meli import EVALUATION_BATCH, MeliConfig, build_network, class_metrics, make_optimizers, titles_step

if TYPE_CHECKING:
    import pandas as pd

REVISION = 1  # of the generated and encoded files: raise it when the same plan makes others
SCHEMA = 1  # of results/scale.json
FULL = {"train": 4_895_280, "validation": 1_223_820, "test": 63_680}  # rows of the course's files
LARGEST, SMALLEST, SHAPE = 19_010, 275, 1.509  # the range of its category sizes; SHAPE gives their sum
RELIABLE_SHARE = 0.06  # of train and validation, most of whose rows are unreliable; all of test is reliable
RARE = 10  # words counted at most this often in the real titles make up the tail
OCTAVES = 3  # Heaps' law is fitted from 1/8 of the words of the texts to all of them
FIRST_ID = 2  # of a word, in the column data
CHUNK = 20_000  # rows drawn from one random stream
MIN_COUNT = 2  # rarer words of the training titles are unknown
MAX_WORDS = 400_000  # most frequent ones kept: vectors and Adam's two moments take 3,600 bytes a word, 1.4 GB in all
NETWORK = MeliConfig(vectors="random", freeze=False)  # BiLSTM 128, embeddings of 300 that are trained, batches of 128
DICTIONARY = "dictionary.txt"
MADE = {"titles": "titles", "encoded": "encoded data"}  # folders of a run, and what they hold
_LETTERS = re.compile(r"[^\W\d_]+")
_SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnpqrstvwxz" for vowel in "aeiou"]


# Titles


@dataclass(frozen=True)
class HeapsLaw:
    """Distinct words among n tokens: factor * n ** exponent (Heaps 1978).

    Args:
        tokens, words: how many it was fitted on.
        deviation: the largest relative one within the range of the fit.
    """

    factor: float
    exponent: float
    tokens: int
    words: int
    deviation: float

    def expected(self, tokens: float) -> float:
        """Distinct words among so many tokens."""
        return self.factor * tokens**self.exponent


def fit_heaps(texts: Sequence[Sequence[str]], *, seed: int) -> HeapsLaw:
    """Least squares between the logarithms, over the last OCTAVES of the growth of the texts in a shuffled order.

    Raises:
        WrongValue: the vocabulary does not grow.
    """
    import pandas as pd

    order = np.random.default_rng(seed).permutation(len(texts))
    numbers = pd.factorize(np.array([word for i in order for word in texts[i]], dtype=object))[0]
    distinct = np.maximum.accumulate(numbers) + 1  # words are numbered by order of appearance
    start = len(distinct) // 2**OCTAVES
    if start < 1 or distinct[start - 1] == distinct[-1]:
        raise settings.WrongValue(f"{len(texts)} titles with {len(distinct)} words: too few to see a vocabulary grow")
    points = np.unique(np.geomspace(start, len(distinct), 25).astype(int))
    seen = distinct[points - 1]
    exponent, logarithm = np.polyfit(np.log(points), np.log(seen), 1)
    fitted = np.exp(logarithm) * points**exponent
    deviation = float(np.abs(fitted / seen - 1).max())
    return HeapsLaw(float(np.exp(logarithm)), float(exponent), len(distinct), int(distinct[-1]), deviation)


@dataclass(frozen=True)
class Template:
    """A real title, cut where its rare words are: `pieces` surround them, `slots` are their places among `words`."""

    pieces: list[str]
    words: list[str]
    numbers: list[int]
    slots: list[int]

    def filled(self, drawn: list[int], word_of: Callable[[int], str]) -> tuple[str, list[str], list[int]]:
        """Title, words and their numbers, with the words of these numbers in the slots."""
        words, numbers, title = list(self.words), list(self.numbers), self.pieces[:1]
        for place, number, piece in zip(self.slots, drawn, self.pieces[1:], strict=True):
            words[place], numbers[place] = word_of(number), number
            title += [words[place].capitalize(), piece]
        return "".join(title), words, numbers


class Language:
    """The real titles as templates, and the law that their rare words are drawn from.

    Numbers below `head` are frequent words and stay as they are. A rare word becomes number head + j, where the share
    of draws from j on is (1 + j / scale) ** -decay: Zipf-Mandelbrot with the exponent 1 / law.exponent that belongs to
    Heaps' law (decay is one less), and the scale that gives as many distinct words as the real titles have.

    Args:
        frame: title, category, target, n_labels of real titles.
        stop_words: no words of the dictionary.
        seed: of the order in which the growth is measured, and of which category gets which size.

    Raises:
        WrongValue: all words of the titles are rare, or none is.
    """

    def __init__(self, frame: "pd.DataFrame", stop_words: Collection[str], *, seed: int):
        texts = [[word for word in clean_tokens(title) if word not in stop_words] for title in frame["title"]]
        self.law = fit_heaps(texts, seed=seed)
        ranked = Counter(word for text in texts for word in text).most_common()
        self.words = [word for word, _ in ranked]
        self.head = sum(count > RARE for _, count in ranked)
        self._known = {*self.words, *stop_words}
        numbers = {word: number for number, word in enumerate(self.words)}
        titles = zip(frame["title"], texts, strict=True)
        self.templates = [self._template(title, text, numbers) for title, text in titles]
        self.categories, self.targets = frame["category"].tolist(), frame["target"].tolist()
        self.num_labels = int(frame["n_labels"].iloc[0])
        self.shares = _shares(frame["target"].to_numpy(), seed)
        self.decay = 1 / self.law.exponent - 1
        slots = self.shares @ [len(template.slots) for template in self.templates]
        drawn = self.law.tokens * slots / (self.shares @ [len(text) for text in texts])
        self.scale = _scale(self.decay, drawn, len(self.words) - self.head)

    def _template(self, title: str, words: list[str], numbers: dict[str, int]) -> Template:
        runs = [(found.start(), found.end(), found[0].lower()) for found in _LETTERS.finditer(title)]
        pieces, slots, end = [], [], 0
        for place, word in enumerate(words):
            if numbers[word] < self.head:
                continue
            run = next((run for run in runs if run[0] >= end and run[2] == word), None)
            if run is not None:
                pieces.append(title[end : run[0]])
                slots.append(place)
                end = run[1]
        return Template([*pieces, title[end:]], words, [numbers[word] for word in words], slots)

    def word(self, number: int) -> str:
        """The word of a number; numbers from len(self.words) on have invented ones, all different."""
        if number < len(self.words):
            return self.words[number]
        rest, syllables = number - len(self.words) + len(_SYLLABLES) ** 2, []  # at least three syllables
        while rest:
            rest, syllable = divmod(rest, len(_SYLLABLES))
            syllables.append(_SYLLABLES[syllable])
        word = "".join(reversed(syllables))
        while word in self._known:
            word += "x"  # no syllable ends like that: no other number has this word
        return word

    def draw(self, subset: str, rows: int, *, seed: int) -> Iterator[dict]:
        """Rows of a subset, with the columns of the course's files.

        In train and validation categories have the sizes of the course's; test draws from all titles alike. But for the
        column size, a longer set begins with the rows of a shorter one of the same seed.
        """
        shares = np.full(len(self.templates), 1 / len(self.templates)) if subset == "test" else self.shares
        for chunk in range(-(-rows // CHUNK)):
            rng = np.random.default_rng([seed, MELI_SUBSETS.index(subset), chunk])
            drawn = rng.choice(len(self.templates), size=CHUNK, p=shares).tolist()
            reliable = rng.random(CHUNK) < (1 if subset == "test" else RELIABLE_SHARE)
            needed = np.cumsum([0, *(len(self.templates[i].slots) for i in drawn)]).tolist()
            tail = (self.head + np.floor(self.scale * rng.pareto(self.decay, needed[-1]))).astype(np.int64).tolist()
            for k in range(min(CHUNK, rows - chunk * CHUNK)):
                title, words, numbers = self.templates[drawn[k]].filled(tail[needed[k] : needed[k + 1]], self.word)
                yield {
                    "language": "spanish", "label_quality": "reliable" if reliable[k] else "unreliable",
                    "title": title, "category": self.categories[drawn[k]], "split": subset, "tokenized_title": words,
                    "data": [number + FIRST_ID for number in numbers], "target": self.targets[drawn[k]],
                    "n_labels": self.num_labels, "size": rows,
                }  # fmt: skip


def _shares(targets: np.ndarray, seed: int) -> np.ndarray:
    """(titles,) how often each is drawn: categories of all sizes from SMALLEST to LARGEST, equal within one."""
    names, category, counts = np.unique(targets, return_inverse=True, return_counts=True)
    sizes = SMALLEST + (LARGEST - SMALLEST) * np.linspace(1, 0, len(names)) ** SHAPE
    sizes = np.random.default_rng(seed).permutation(sizes)
    shares = (sizes / counts)[category]
    return shares / shares.sum()


def distinct_draws(draws: float, scale: float, decay: float) -> float:
    """Expected number of distinct words among so many draws from the tail."""
    edges = np.unique(np.concatenate([np.arange(1000.0), np.geomspace(1e3, 1e15, 20_000).round()]))
    beyond = (1 + edges / scale) ** -decay  # share of the draws from there on
    width, share = np.diff(edges), -np.diff(beyond)
    return float(-(width * np.expm1(-draws * share / width)).sum() + draws * beyond[-1])


def _scale(decay: float, draws: float, words: int) -> float:
    """The scale at which so many draws hold so many distinct words."""
    from scipy.optimize import brentq

    if not (decay > 0 and 1 < words < 0.999 * draws):
        raise settings.WrongValue(
            f"{words} rare words among {draws:.0f} places for them, exponent {1 / (decay + 1):.2f} of Heaps' law:"
            " no Zipf law has such a tail; more titles, and more varied ones, are needed"
        )
    return float(np.exp(brentq(lambda log: distinct_draws(draws, np.exp(log), decay) - words, -30, 30)))


def subset_rows(rows: int) -> dict[str, int]:
    """Rows of each subset of a set of so many rows, in the proportions of the course's files.

    Raises:
        WrongValue: fewer than 100 rows.
    """
    if rows < 100:
        raise settings.WrongValue(f"rows={rows}: a set needs at least 100 rows to have all three subsets")
    small = {name: round(rows * FULL[name] / sum(FULL.values())) for name in ("validation", "test")}
    return {"train": rows - sum(small.values()), **small}


def write_subset(path: str | Path, language: Language, subset: str, rows: int, *, seed: int) -> None:
    """Write a subset as `.jsonl.gz`, a row at a time; the same bytes for the same seed. Fast compression: level 1."""
    with Path(path).open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as file:
        for row in language.draw(subset, rows, seed=seed):
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")


# A run


@dataclass(frozen=True)
class Plan:
    """One run: rows of each subset, epochs, seed, file of real titles, folder of its files, what prints its lines."""

    rows: dict[str, int]
    epochs: int
    seed: int
    source: Path
    folder: Path
    say: Callable[[str], None]

    def place(self, kind: str) -> Path:
        """The folder of titles or of encoded data; another seed, source or revision has another one."""
        made_of = {"rows": self.rows, "seed": self.seed, "source": sha256_of(self.source), "revision": REVISION}
        return self.folder / f"{kind}-{sum(self.rows.values())}-{hash_of(made_of)[:12]}"

    def sealed(self, kind: str, make: Callable[[Path, "Plan"], dict]) -> dict:
        """Facts of a sealed folder; stages of an earlier run are marked as reused."""
        facts, reused = encoded.sealed(self.place(kind), lambda folder: make(folder, self))
        if reused:
            self.say(f"{MADE[kind]} reused: {self.place(kind)}")
            for measures in facts["stages"].values():
                measures["reused"] = True
        return facts

    @contextmanager
    def measured(self, stages: dict, stage: str, count: int, *files: Path) -> Iterator[None]:
        """Note seconds, titles per second, peak memory, and the bytes that the files or folders then take."""
        own_peak, start = reset_peak(), time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        stages[stage] = {
            "seconds": seconds, "titles": count, "titles_per_second": count / seconds, "peak_mib": peak_mib(),
            "peak_of": "stage" if own_peak else "process so far", "bytes": encoded.disk_bytes(*files), "reused": False,
        }  # fmt: skip
        self.say(f"{stage}: {count:,} titles, {seconds:.1f} s, peak {stages[stage]['peak_mib']:.0f} MiB")


def run(rows: int, *, epochs: int = 1, seed: int = settings.SEED, folder: str | Path | None = None, say=print) -> dict:
    """Make a set of so many rows, take it through every stage, and return the measures.

    What an earlier run generated and encoded is verified and used again, with the measures of then.

    Args:
        epochs: of training; memory is the same for any number.
        seed: of the titles, initial weights, batches and dropout.
        folder: for the files; default: `scale` in the cache.
        say: is called with a line after each stage.

    Returns:
        An entry for merge_entry().

    Raises:
        SealError: files of an earlier run are damaged.
        SourceError: profile full without the real titles.
    """
    source, sample = obtain_or_sample("meli-test")
    plan = Plan(subset_rows(rows), epochs, seed, source, Path(folder or settings.cache_dir() / "scale"), say)
    facts = plan.sealed("encoded", _encode)
    metrics = _train(plan, facts)
    return facts | {
        "rows": plan.rows, "seed": seed, "epochs": epochs, "metrics": metrics,
        "source": {"sha256": sha256_of(source), "sample": sample},
        "peak_mib": max(measures["peak_mib"] for measures in facts["stages"].values()),
        "bytes": encoded.disk_bytes(*(place for place in map(plan.place, ("titles", "encoded")) if place.exists())),
        "device": str(settings.device()), "threads": settings.threads(), "profile": settings.profile(),
        "versions": settings.versions(), "commit": settings.commit(),
    }  # fmt: skip


def _generate(folder: Path, plan: Plan) -> dict:
    stages = {}
    with plan.measured(stages, "generation", sum(plan.rows.values()), folder):
        frame = load_meli(plan.source, columns=("title", "category", "target", "n_labels"))
        language = Language(frame, stopwords_es(), seed=plan.seed)
        for subset, rows in plan.rows.items():
            write_subset(_subset_file(folder, subset), language, subset, rows, seed=plan.seed)
    return {"categories": language.num_labels, "heaps": asdict(language.law), "stages": stages}


def _subset_file(folder: Path, subset: str) -> Path:
    return folder / f"spanish.{subset}.jsonl.gz"


def _encode(folder: Path, plan: Plan) -> dict:
    """All stages up to the ids, which are left in `folder`; intermediate files are deleted."""
    facts, source = plan.sealed("titles", _generate), plan.place("titles")
    stages, all_rows, work = facts["stages"], sum(plan.rows.values()), folder / "work"
    work.mkdir()
    titles, targets, words = ({s: work / f"{s}.{kind}" for s in plan.rows} for kind in ("titles", "npy", "words"))
    with plan.measured(stages, "reading", all_rows, *titles.values(), *targets.values()):
        for subset in plan.rows:
            encoded.write_titles(_subset_file(source, subset), titles[subset], targets[subset])
    stop_words = stopwords_es()
    with plan.measured(stages, "cleaning", all_rows, *words.values()):
        for subset in plan.rows:
            encoded.write_words(titles[subset], words[subset], stop_words)
    with plan.measured(stages, "dictionary", plan.rows["train"], folder / DICTIONARY):
        vocabulary, counted = _dictionary(words["train"], folder / DICTIONARY)
    with plan.measured(stages, "encoding", all_rows, *(folder / subset for subset in plan.rows)):
        for subset in plan.rows:
            encoded.write_encoded(words[subset], targets[subset], vocabulary, folder / subset)
    shutil.rmtree(work)
    counted["expected_by_heaps"] = HeapsLaw(**facts["heaps"]).expected(counted["tokens"])
    return facts | {"words": counted}


def _dictionary(words: Path, target: Path) -> tuple[Vocabulary, dict]:
    counts, short = encoded.count_words(encoded.chunks(words))
    vocabulary = encoded.ranked_words(counts, min_count=MIN_COUNT, max_words=MAX_WORDS)
    target.write_text("\n".join(vocabulary.tokens[UNKNOWN + 1 :]), encoding="utf-8")
    counted = {"tokens": counts.total(), "distinct": len(counts), "counts_lack_at_most": short}
    return vocabulary, counted | {"dictionary": len(vocabulary), "min_count": MIN_COUNT, "max_words": MAX_WORDS}


def _train(plan: Plan, facts: dict) -> dict[str, float]:
    """Train on the memory-mapped ids, evaluate validation and test; their measures join the others in `facts`."""
    home = plan.place("encoded")
    data = {subset: encoded.open_encoded(home / subset) for subset in plan.rows}
    vocabulary = Vocabulary((home / DICTIONARY).read_text(encoding="utf-8").split("\n"))
    generator = settings.seed_everything(plan.seed)
    network = build_network(NETWORK, WordTitles(vocabulary), facts["categories"]).to(settings.device())
    train = make_loader(data.pop("train"), NETWORK.batch_size, strategy="equal", generator=generator)
    step = titles_step(NETWORK.label_smoothing)
    optimizers, schedulers = make_optimizers(NETWORK, network, plan.epochs * len(train))
    with plan.measured(facts["stages"], "training", plan.epochs * plan.rows["train"]):
        history = fit(
            network, Loaders(train, None), step, optimizers=optimizers, schedulers=schedulers, epochs=plan.epochs,
            metrics=class_metrics,
        )  # fmt: skip
    metrics = {"train_loss": history.rows[-1]["train_loss"]}
    with plan.measured(facts["stages"], "evaluation", sum(map(len, data.values()))):
        for subset, texts in data.items():
            found = evaluate(network, make_loader(texts, EVALUATION_BATCH, strategy="equal"), step)
            scores = {"loss": found.loss} | class_metrics(found.targets, found.outputs)
            metrics |= {f"{subset}_{name}": value for name, value in scores.items()}
    return metrics


def reset_peak() -> bool:
    """Restart the peak of this process' resident memory; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_mib() -> float:
    """Largest resident memory, mapped files included, since reset_peak(), or in the life of the process."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024  # in KiB
    except (OSError, IndexError):
        return _peak_of_the_process()


def _peak_of_the_process() -> float:
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


# Results


def stage_table(entry: dict) -> "pd.DataFrame":
    """A row per stage: titles, seconds, titles/s, peak MiB, MB on disk, reused."""
    import pandas as pd

    table = pd.DataFrame.from_dict(entry["stages"], orient="index").assign(bytes=lambda stages: stages["bytes"] / 1e6)
    titles = {"titles_per_second": "titles/s", "peak_mib": "peak MiB", "bytes": "MB on disk"}
    return table[["titles", "seconds", *titles, "reused"]].rename(columns=titles)


def merge_entry(entry: dict, path: str | Path | None = None) -> Path:
    """Put an entry into results/scale.json under its number of rows, in one piece; other sizes stay as they are.

    Raises:
        WrongValue: the file that is there is none of ours.
    """
    path = Path(path or settings.results_dir() / "scale.json")
    content = {"schema": SCHEMA, "sizes": {}}
    if path.is_file():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA or not isinstance(content["sizes"], dict):
                raise settings.WrongValue(f"not of schema {SCHEMA}")
        except (ValueError, KeyError, TypeError) as error:
            raise settings.WrongValue(f"{path}: no results of this command ({error}): move it away") from error
    content["sizes"][str(sum(entry["rows"].values()))] = entry
    content["sizes"] = dict(sorted(content["sizes"].items(), key=lambda item: int(item[0])))
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
