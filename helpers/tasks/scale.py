"""MeLi at the course's full size: from files to an evaluated BiLSTM in streams, with time and memory of each stage."""

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from helpers import settings
from helpers.data import cleaning, corpora, encoded, scaled_titles, text, titles
from helpers.data.batching import make_loader
from helpers.data.cleaning import stopwords_es
from helpers.data.corpora import load_meli
from helpers.data.encoded import chunks, count_words, disk_bytes, open_encoded, ranked_words, sealed
from helpers.data.scaled_titles import HeapsLaw, Language, part_rows, write_subset
from helpers.data.sources import obtain_or_sample
from helpers.data.text import UNKNOWN, Vocabulary
from helpers.data.titles import WordTitles
from helpers.data.verification import file_sha256
from helpers.model.training import Loaders, evaluate, fit
from helpers.report.results import code_hash, write_text
from helpers.tasks.meli import class_metrics, make_optimizers, titles_step
from helpers.tasks.meli_config import Config
from helpers.tasks.meli_model import EVALUATION_BATCH, build_network
from helpers.tasks.studies import hash_of

SCHEMA = 1
MIN_COUNT = 2  # training titles' words counted less often are unknown
MAX_WORDS = 400_000  # most frequent ones kept: vectors and Adam's two moments take 3,600 bytes a word, 1.4 GB in all
NETWORK = Config(vectors="random", freeze=False)  # BiLSTM 128, embeddings of 300 that are trained, batches of 128
TITLES_CODE = (cleaning, corpora, scaled_titles)
ENCODED_CODE = (*TITLES_CODE, encoded, text, titles, Path(__file__))
MEASURED_CODE = ("helpers/data", "helpers/model", Path(__file__))
DICTIONARY = "dictionary.txt"


@dataclass(frozen=True)
class Plan:
    """One run: rows of each subset, epochs, seed, the real titles' file, and where its files are to be."""

    rows: dict[str, int]
    epochs: int
    seed: int
    source: Path
    folder: Path
    say: Callable[[str], None]

    def place(self, kind: str, code: Sequence) -> Path:
        """The folder of what this code makes of this plan; another code, seed or source has another one."""
        made_of = {"rows": self.rows, "seed": self.seed, "source": file_sha256(self.source), "code": _code(*code)}
        return self.folder / f"{kind}-{sum(self.rows.values())}-{hash_of(made_of)[:12]}"


@cache
def _code(*sources) -> str:
    return code_hash(*sources)


def run(rows: int, *, epochs: int = 1, seed: int = settings.SEED, folder: Path | None = None, say=print) -> dict:
    """Make a set of so many rows, take it through every stage, and return the measures.

    What has been generated and encoded before is verified and used again; its measures are those of then.

    Args:
        epochs: of training; memory is the same for any number.
        seed: of the titles, initial weights, batches and dropout.
        folder: for the files; default: `scale` in the cache.
        say: told in a line how each stage went.

    Returns:
        An entry for merge_entry().

    Raises:
        SealError: files from an earlier run are damaged.
        SourceError: profile full without the real titles.
    """
    source, sample = obtain_or_sample("meli-test")
    plan = Plan(part_rows(rows), epochs, seed, source, folder or settings.cache_dir() / "scale", say)
    home = plan.place("encoded", ENCODED_CODE)
    facts, reused = sealed(home, lambda part: _encode(part, plan))
    if reused:
        say(f"encoded data reused: {home}")
        _mark_reused(facts["stages"])
    metrics = _train(home, facts, plan)
    return facts | {
        "rows": plan.rows, "seed": seed, "epochs": epochs, "metrics": metrics,
        "source": {"sha256": file_sha256(source), "sample": sample},
        "peak_mib": max(measures["peak_mib"] for measures in facts["stages"].values()),
        "bytes": disk_bytes(*(folder for folder in (plan.place("titles", TITLES_CODE), home) if folder.exists())),
        "threads": settings.threads(), "profile": settings.profile(), "versions": settings.versions(),
        "code": _code(*MEASURED_CODE),
    }  # fmt: skip


def _encode(part: Path, plan: Plan) -> dict:
    """All stages up to the ids, which land in `part`; what is written on the way there is deleted."""
    source = plan.place("titles", TITLES_CODE)
    made, reused = sealed(source, lambda folder: _generate(folder, plan))
    stages, all_rows, work = made["stages"], sum(plan.rows.values()), part / "work"
    if reused:
        plan.say(f"titles reused: {source}")
        _mark_reused(stages)
    work.mkdir()
    lines, targets, words = ({s: work / f"{s}.{kind}" for s in plan.rows} for kind in ("titles", "npy", "words"))
    with _measured(stages, "reading", all_rows, plan.say, *lines.values(), *targets.values()):
        for subset in plan.rows:
            encoded.write_titles(_subset_file(source, subset), lines[subset], targets[subset])
    stop_words = stopwords_es()
    with _measured(stages, "cleaning", all_rows, plan.say, *words.values()):
        for subset in plan.rows:
            encoded.write_words(lines[subset], words[subset], stop_words)
    with _measured(stages, "dictionary", plan.rows["train"], plan.say, part / DICTIONARY):
        vocabulary, told = _dictionary(words["train"], part / DICTIONARY)
    with _measured(stages, "encoding", all_rows, plan.say, *(part / subset for subset in plan.rows)):
        for subset in plan.rows:
            encoded.write_encoded(words[subset], targets[subset], vocabulary, part / subset)
    shutil.rmtree(work)
    told["expected_by_heaps"] = HeapsLaw(**made["heaps"]).expected(told["tokens"])
    return made | {"words": told, "stages": stages}


def _dictionary(words: Path, target: Path) -> tuple[Vocabulary, dict]:
    counts, short = count_words(chunks(words))
    vocabulary = ranked_words(counts, min_count=MIN_COUNT, max_words=MAX_WORDS)
    target.write_text("\n".join(vocabulary.tokens[UNKNOWN + 1 :]), encoding="utf-8")
    told = {"tokens": counts.total(), "distinct": len(counts), "counts_lack_at_most": short}
    return vocabulary, told | {"dictionary": len(vocabulary), "min_count": MIN_COUNT, "max_words": MAX_WORDS}


def _generate(folder: Path, plan: Plan) -> dict:
    stages = {}
    with _measured(stages, "generation", sum(plan.rows.values()), plan.say, folder):
        frame = load_meli(plan.source, columns=("title", "category", "target", "n_labels"))
        language = Language(frame, stopwords_es(), seed=plan.seed)
        for subset, rows in plan.rows.items():
            write_subset(_subset_file(folder, subset), language, subset, rows, seed=plan.seed)
    return {"categories": language.num_labels, "heaps": asdict(language.law), "stages": stages}


def _subset_file(folder: Path, subset: str) -> Path:
    return folder / f"spanish.{subset}.jsonl.gz"


def _train(home: Path, facts: dict, plan: Plan) -> dict[str, float]:
    """Train on the memory-mapped ids, and score validation and test; their measures join the others in `facts`."""
    data = {subset: open_encoded(home / subset) for subset in plan.rows}
    vocabulary = Vocabulary((home / DICTIONARY).read_text(encoding="utf-8").split("\n"))
    generator = settings.seed_everything(plan.seed)
    network = build_network(NETWORK, WordTitles(vocabulary), facts["categories"])
    train = make_loader(data.pop("train"), NETWORK.batch_size, strategy="equal", generator=generator)
    step = titles_step(NETWORK.label_smoothing)
    optimizers, schedulers = make_optimizers(NETWORK, network, plan.epochs * len(train))
    with _measured(facts["stages"], "training", plan.epochs * plan.rows["train"], plan.say):
        history = fit(
            network, Loaders(train, None), step, optimizers=optimizers, schedulers=schedulers, epochs=plan.epochs,
            metrics=class_metrics,
        )  # fmt: skip
    metrics = {"train_loss": history.rows[-1]["train_loss"]}
    with _measured(facts["stages"], "evaluation", sum(map(len, data.values())), plan.say):
        for subset, texts in data.items():
            found = evaluate(network, make_loader(texts, EVALUATION_BATCH, strategy="equal"), step)
            scores = {"loss": found.loss} | class_metrics(found.targets, found.outputs)
            metrics |= {f"{subset}_{name}": value for name, value in scores.items()}
    return metrics


@contextmanager
def _measured(stages: dict, stage: str, count: int, say, *files: Path) -> Iterator[None]:
    """Note seconds, titles per second, peak memory, and the bytes that the files or folders then take."""
    own_peak = reset_peak()
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    stages[stage] = {
        "seconds": seconds, "titles": count, "titles_per_second": count / seconds, "peak_mib": peak_mib(),
        "peak_of": "stage" if own_peak else "process so far", "bytes": disk_bytes(*files), "reused": False,
    }  # fmt: skip
    say(f"{stage}: {count:,} titles, {seconds:.1f} s, peak {stages[stage]['peak_mib']:.0f} MiB")


def _mark_reused(stages: dict) -> None:
    for measures in stages.values():
        measures["reused"] = True


def reset_peak() -> bool:
    """Let the peak of this process' resident memory begin anew; False where the system does not have that."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_mib() -> float:
    """Largest resident memory, mapped files included, since reset_peak(), or of the life of the process."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024  # in KiB
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
        return peak / (2**20 if sys.platform == "darwin" else 2**10)


def stage_table(entry: dict) -> pd.DataFrame:
    """A row per stage: titles, seconds, titles/s, peak MiB, MB on disk, reused."""
    table = pd.DataFrame.from_dict(entry["stages"], orient="index")
    columns = {"titles": table["titles"], "seconds": table["seconds"], "titles/s": table["titles_per_second"]}
    columns |= {"peak MiB": table["peak_mib"], "MB on disk": table["bytes"] / 1e6, "reused": table["reused"]}
    return pd.DataFrame(columns)


def merge_entry(entry: dict, path: Path | None = None) -> Path:
    """Put an entry into results/scale.json under its number of rows, in one piece; other sizes stay as they are.

    Raises:
        ValueError: the file that is there is none of ours.
    """
    path = path or settings.results_dir() / "scale.json"
    content = {"schema": SCHEMA, "sizes": {}}
    if path.is_file():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA or not isinstance(content["sizes"], dict):
                raise ValueError(f"not of schema {SCHEMA}")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: no results of this command ({error}): move it away, then run again") from error
    content["sizes"][str(sum(entry["rows"].values()))] = entry
    content["sizes"] = dict(sorted(content["sizes"].items(), key=lambda item: int(item[0])))
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
