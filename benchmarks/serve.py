"""How fast the registered models answer over HTTP: latency of one client, requests per second of several, batches.

    PROFILE=full python benchmarks/serve.py

serves each model as `make serve` does (registered first where it is not), asks it texts of its own corpus, prints one
line per model and writes results/serve.json. --quick asks few, to see that all works.
"""

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import requests
from tqdm import tqdm

from helpers import settings
from helpers.apps import serving
from helpers.apps.serving import SERVICES
from helpers.data.corpora import load_meli, load_sick, load_sms
from helpers.files import write_text

CLIENTS, BATCH, START = 8, 1_000, 600  # at once; rows of a batch; seconds that a server may take to come up
READ: dict[str, Callable] = {  # the corpus of a model, its columns named as the model has them
    "meli-titles": lambda: load_meli(columns=("title",)),
    "sms-spam": lambda: load_sms()[["text"]].set_axis(["message"], axis=1),
    "sick-similarity": lambda: load_sick()[["sentence_a", "sentence_b"]],
}


@contextmanager
def served(name: str):
    """The address of a server of this model, on a free port, while it is needed."""
    address = serving.current(name) or serving.register(name)
    with socket.socket() as probe:
        probe.bind((settings.HOST, 0))
        port = probe.getsockname()[1]
    arguments, environment = serving.server(address, port)
    log = settings.anchored("build") / f"serve-{name}.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w", encoding="utf8") as out:
        process = subprocess.Popen(arguments, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_until_up(process, f"http://{settings.HOST}:{port}/ping", log)
        yield f"http://{settings.HOST}:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_until_up(process: subprocess.Popen, url: str, log) -> None:
    """Return when the server answers.

    Raises:
        RuntimeError: it ended, or did not come up in time.
    """
    end = time.monotonic() + START
    while process.poll() is None and time.monotonic() < end:
        try:
            requests.get(url, timeout=5).raise_for_status()
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not come up: see {log}")


def ask(session: requests.Session, url: str, rows: list[dict]) -> float:
    """Seconds that an answer took."""
    start = time.perf_counter()
    answer = session.post(url, json={"dataframe_records": rows}, timeout=START)
    seconds = time.perf_counter() - start
    answer.raise_for_status()
    assert len(answer.json()["predictions"]) == len(rows)
    return seconds


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    return {f"p{q}_ms": round(float(np.percentile(seconds, q)) * 1000, 2) for q in (50, 99)}


def measure(url: str, rows: list[dict], requests_asked: int, batches: int, warm_up: int) -> dict:
    """One client with single rows, several clients with single rows, one client with batches."""
    with requests.Session() as session:
        for row in rows[:warm_up]:
            ask(session, url, [row])
        singles = rows[:requests_asked]
        alone = [ask(session, url, [row]) for row in tqdm(singles, "one client", leave=False)]
        batch = [(rows * (BATCH // len(rows) + 1))[:BATCH] for _ in range(batches)]
        whole = [ask(session, url, part) for part in tqdm(batch, f"{BATCH} rows", leave=False)]

    def client(part: list[dict]) -> list[float]:
        with requests.Session() as session:
            return [ask(session, url, [row]) for row in part]

    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        together = [s for part in pool.map(client, [singles[i::CLIENTS] for i in range(CLIENTS)]) for s in part]
    seconds = time.perf_counter() - start
    return {
        "one_client": percentiles(alone) | {"requests_per_second": round(len(alone) / sum(alone), 1)},
        f"{CLIENTS}_clients": percentiles(together) | {"requests_per_second": round(len(together) / seconds, 1)},
        f"batches_of_{BATCH}": percentiles(whole) | {"rows_per_second": round(BATCH * len(whole) / sum(whole), 1)},
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="ask few, write nothing into results/")
    parser.add_argument("--models", nargs="+", choices=SERVICES, default=list(SERVICES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    asked, batches, warm_up = (24, 1, 2) if options.quick else (2_000, 20, 50)
    found = {}
    for name in options.models:
        texts = READ[name]().to_dict("records")
        rows = random.Random(options.seed).sample(texts, min(len(texts), max(asked, BATCH)))
        with served(name) as url:
            found[name] = measure(url, rows, asked, batches, warm_up)
        print(name, json.dumps(found[name]), flush=True)
    facts = {"requests": asked, "batches": batches, "cores": os.cpu_count(), "threads": settings.threads()}
    content = {"models": found} | facts | {"versions": settings.versions()}
    folder = settings.anchored("build/results") if options.quick else settings.results_dir()
    print(write_text(folder / "serve.json", json.dumps(content, indent=2) + "\n").name)


if __name__ == "__main__":
    main()
