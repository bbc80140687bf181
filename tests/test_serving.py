"""A real server of each registered model: every answer is right or a 4xx with a reason, and the server stays up."""

import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from types import SimpleNamespace

import pytest
import requests
from tiny_models import expected, flat, saved_models

from helpers.apps import serving
from helpers.apps.serving import SERVICES
from helpers.settings import HOST

pytestmark = pytest.mark.server

START, ANSWER = 600, 300  # seconds to wait at most, on a busy machine
TEXTS = ["Funda Samsung J7", "FREE entry, text WIN to 80085", "A dog is running", "ñandú 😀", "", "a\0b", '"],\n']
WRONG = [  # (what stands in the place of a text, what the reason says)
    (None, "row 1 is null"),
    (5, "row 1 is int"),
    (True, "row 1 is bool"),
    (["a"], "row 1 is list"),
    ({"a": "b"}, "row 1 is dict"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return saved_models(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module", params=SERVICES)
def server(request, saved, tmp_path_factory):
    """The server of a model, as `python -m helpers serve` starts it, and what the test needs to ask it."""
    name, folder = request.param, tmp_path_factory.mktemp("served")
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        arguments, environment = serving.server(serving.register(name, saved[name]), port)
    log = folder / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(arguments, env=environment, stdout=out, stderr=out, start_new_session=True)
    found = SimpleNamespace(name=name, columns=SERVICES[name].columns, saved=saved[name], url=f"http://{HOST}:{port}")
    try:
        wait_until_up(process, found.url, log)
        yield found
        assert process.poll() is None, log.read_text()[-3000:]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def wait_until_up(process, url, log):
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            return requests.get(f"{url}/ping", timeout=5).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not come up: {log.read_text()[-3000:]}")


@pytest.fixture(autouse=True)
def _stays_up(server):
    yield
    assert requests.get(f"{server.url}/ping", timeout=ANSWER).status_code == 200


def post(server, body, content_type="application/json"):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    headers = {"Content-Type": content_type} if content_type else {}
    return requests.post(f"{server.url}/invocations", data=data, headers=headers, timeout=ANSWER)


def records(server, texts):
    return {"dataframe_records": [dict.fromkeys(server.columns, text) for text in texts]}


def check(server, answer, texts):
    assert answer.status_code == 200, answer.text[:2000]
    wanted = expected(server.name, server.saved, *[texts] * len(server.columns))
    assert flat(answer.json()["predictions"]) == pytest.approx(flat(wanted), abs=1e-5)


def check_refused(answer, reason):
    assert answer.status_code == 400, answer.text[:2000]
    assert reason in answer.json()["message"]


def test_good_requests(server):
    check(server, post(server, records(server, TEXTS)), TEXTS)
    split = {"columns": server.columns, "data": [[text] * len(server.columns) for text in TEXTS]}
    check(server, post(server, {"dataframe_split": split}), TEXTS)
    csv = "\n".join([",".join(server.columns), *(",".join([text] * len(server.columns)) for text in ("uno", "dos"))])
    check(server, post(server, csv, "text/csv"), ["uno", "dos"])
    check(server, post(server, csv.replace("dos", "NA"), "text/csv"), ["uno", "NA"])
    check_refused(post(server, csv.replace("dos", "dos, tres"), "text/csv"), "row 1 has")


@pytest.mark.parametrize(("value", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_wrong_types(server, value, reason):
    check_refused(post(server, records(server, ["fine", value])), f"{server.columns[0]} of {reason}")
    for form in ("inputs", "instances"):
        rows = records(server, ["fine", value])["dataframe_records"]
        check_refused(post(server, {form: rows}), f"{server.columns[0]} of {reason}")


def test_missing_fields(server):
    check_refused(post(server, {"dataframe_records": [{"texto": "a"}]}), f"missing inputs {server.columns}")
    lacking = [dict.fromkeys(server.columns, "a"), {}]
    check_refused(post(server, {"dataframe_records": lacking}), "row 1 is null")
    check_refused(post(server, {"texts": ["a"]}), "exactly one of the input fields")


def test_an_empty_batch(server):
    check_refused(post(server, {"dataframe_split": {"columns": server.columns, "data": []}}), "0 rows: send at least 1")
    check_refused(post(server, {"dataframe_records": []}), "missing inputs")


def test_ten_thousand_rows_and_one_more(server):
    texts = list(islice(cycle([*TEXTS, *(f"{word} {n}" for n in range(97) for word in ("dog", "funda"))]), 10_000))
    check(server, post(server, records(server, texts)), texts)
    check_refused(post(server, records(server, [*texts, "a"])), "10,001 rows")


def test_a_text_of_a_megabyte(server):
    for long in ("dog funda " * 100_000, "x" * 1_000_000):
        answer = post(server, records(server, [long]))
        if SERVICES[server.name].longest:
            check_refused(answer, "1,000,000 characters")
            assert len(answer.text) < 2_000
        else:
            check(server, answer, [long])


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"null", b"[]", b"{}", b'{"dataframe_records": [{', b'{"dataframe_records": 5}', b"[" * 200_000,
     b'{"dataframe_records": [' + b"9" * 5_000 + b"]}", b'{"dataframe_split": {"columns": [{}], "data": [[1]]}}'],
    ids=range(10),
)  # fmt: skip
def test_broken_json(server, body):
    answer = post(server, body)
    assert answer.status_code == 400, answer.text[:2000]
    assert answer.json()["message"]


def test_other_content_types(server):
    check_refused(post(server, b"{}", None), "no Content-Type")
    answer = post(server, records(server, ["a"]), "text/plain")
    assert (answer.status_code, "only supports" in answer.text) == (415, True)


def test_fifty_clients_at_once(server):
    def client(number):
        texts = [f"{text} {number}" for text in TEXTS[: 1 + number % 3]]
        return texts, post(server, records(server, texts)), post(server, records(server, [number]))

    with ThreadPoolExecutor(50) as clients:
        for texts, answer, refusal in clients.map(client, range(200)):
            check(server, answer, texts)
            check_refused(refusal, "row 0 is int")
