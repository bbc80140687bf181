"""Registered models: what lies in their folders, that they say what the saved models say, and what they refuse."""

import csv
import io
import json
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from tiny_models import expected, flat, saved_models

from helpers.__main__ import main
from helpers.apps import cli, serving
from helpers.apps.serving import MAX_ROWS, SERVICES, read_requests_as_they_are
from helpers.model.checkpoints import SAMPLE_MARK, CheckpointError
from helpers.settings import HOST

TITLES = ["Funda Samsung J7 Prime", "", "😀 ñandú"]
COLUMNS = {"meli-titles": [TITLES], "sms-spam": [TITLES], "sick-similarity": [TITLES, TITLES[::-1]]}
FORMAT = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json"}
FORMAT |= {"serving_input_example.json", "served_model.py", "model.json", "model.safetensors"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return saved_models(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def addresses(saved, outside):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outside / 'mlflow.db'}")
        yield {name: serving.register(name, folder) for name, folder in saved.items()}


@pytest.fixture(scope="module")
def loaded(addresses):
    return {name: mlflow.pyfunc.load_model(address) for name, address in addresses.items()}


@pytest.fixture
def server_functions(monkeypatch):
    """MLflow's request handler as the server's process has it."""
    for name in ("invocations", "infer_and_parse_data", "parse_csv_input", "parse_parquet_input"):
        monkeypatch.setattr(scoring_server, name, getattr(scoring_server, name))
    read_requests_as_they_are()


@pytest.mark.parametrize("name", SERVICES)
def test_a_registered_model_says_what_the_saved_one_says(name, saved, loaded):
    texts = COLUMNS[name]
    said = loaded[name].predict(pd.DataFrame(dict(zip(SERVICES[name].columns, texts, strict=True))))
    assert flat(said.to_dict("records")) == pytest.approx(flat(expected(name, saved[name], *texts)))


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_logged_is_tensors_json_and_code_and_no_pickle(name, addresses):
    folder = Path(mlflow.artifacts.download_artifacts(addresses[name]))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} - {"registered_model_meta"} == FORMAT
    assert [path.name for path in files if path.read_bytes().startswith((b"\x80", b"PK"))] == []
    described = mlflow.models.get_model_info(addresses[name])
    assert described.flavors["python_function"]["model_code_path"].endswith("served_model.py")
    assert described.signature == SERVICES[name].signature
    example = json.loads((folder / "input_example.json").read_text(encoding="utf8"))
    assert example["columns"] == SERVICES[name].columns


def changed(saved, folder):
    """Another model than the saved one."""
    model = SERVICES["sms-spam"].load(saved["sms-spam"])
    next(model.network.parameters()).data.add_(1)
    return model.save(folder)


def test_the_same_model_again_adds_nothing_and_another_one_a_version(saved, addresses, tmp_path):
    name, known = "sms-spam", addresses["sms-spam"]
    assert serving.register(name, saved[name]) == known == serving.current(name)
    newer = serving.register(name, changed(saved, tmp_path / "other"))
    try:
        assert newer != known
        assert serving.current(name) == newer
        source = mlflow.get_logged_model(mlflow.models.get_model_info(newer).model_id).artifact_location
        shutil.rmtree(source.removeprefix("file://"))
        assert serving.current(name) is None
    finally:
        mlflow.MlflowClient().delete_model_version(name, newer.rpartition("/")[2])
    assert serving.current(name) == known


@pytest.mark.usefixtures("addresses")
def test_an_empty_store_has_none_and_unknown_names_are_told():
    name = "meli-titles"
    mlflow.MlflowClient().rename_registered_model(name, "elsewhere")
    try:
        assert serving.current(name) is None
    finally:
        mlflow.MlflowClient().rename_registered_model("elsewhere", name)
    for call in (serving.current, serving.register):
        with pytest.raises(ValueError, match="'bert' is not one of meli-titles, sms-spam, sick-similarity"):
            call("bert")


def test_what_is_not_saved_yet_is_trained_first_and_then_kept(saved, addresses, tmp_path, monkeypatch, capsys):
    asked = []

    def train(config, **options):
        asked.append((config, options))
        return SimpleNamespace(model=SERVICES["sms-spam"].load(saved["sms-spam"]), metrics={"f1": 0.9})

    monkeypatch.setattr(serving.sms, "train", train)
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path))
    assert serving.register("sms-spam") == serving.register("sms-spam") == addresses["sms-spam"]
    assert asked == [("best", {"verbose": True, "split_seed": 1, "model_seed": 1})]
    assert (tmp_path / "sms-spam" / "model.safetensors").is_file()
    assert "training the best configuration, about" in capsys.readouterr().out


def test_what_cannot_be_loaded_is_not_registered(saved, addresses, tmp_path):
    with pytest.raises(CheckpointError, match="is missing"):
        serving.register("sms-spam", tmp_path)
    with pytest.raises(CheckpointError, match="holds no meli model"):
        serving.register("meli-titles", saved["sms-spam"])
    damaged = shutil.copytree(saved["sms-spam"], tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        serving.register("sms-spam", damaged)
    marked = shutil.copytree(saved["sms-spam"], tmp_path / "marked")
    (marked / SAMPLE_MARK).write_text("")
    with pytest.raises(CheckpointError, match="trained on the synthetic sample"):
        serving.register("sms-spam", marked)
    assert serving.current("sms-spam") == addresses["sms-spam"]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pd.DataFrame({"sentence_a": ["a"]}), r"missing inputs \['sentence_b'\]"),
        (pd.DataFrame({"sentence_a": ["a", "b"], "sentence_b": ["a", None]}), "sentence_b of row 1 is null"),
        (pd.DataFrame({"sentence_a": ["a"], "sentence_b": [["a"]]}), "sentence_b of row 0 is list"),
        (pd.DataFrame({"sentence_a": [5], "sentence_b": ["a"]}), "sentence_a"),
        (pd.DataFrame({"sentence_a": ["a"], "sentence_b": ["a" * 1001]}), "1,001 characters: send at most 1,000"),
        (pd.DataFrame({"sentence_a": [], "sentence_b": []}, dtype=object), "0 rows: send at least 1"),
        (pd.DataFrame({"sentence_a": ["a"], "sentence_b": ["a"]}).sample(MAX_ROWS + 1, replace=True), "10,001 rows"),
    ],
)
def test_a_wrong_frame_is_refused_with_the_reason(loaded, frame, reason):
    with pytest.raises(MlflowException, match=reason) as refused:
        loaded["sick-similarity"].predict(frame)
    assert refused.value.get_http_status_code() == 400


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=4))
def test_any_texts_are_answered_one_by_one(loaded, texts):
    for name, service in SERVICES.items():
        said = loaded[name].predict(pd.DataFrame(dict.fromkeys(service.columns, texts)))
        assert len(said) == len(texts)
        assert list(said) == service.outputs.input_names()


def ask(model, data, content_type="application/json"):
    return scoring_server.invocations(data, content_type, model, model.metadata.get_input_schema())


@pytest.mark.usefixtures("server_functions")
@pytest.mark.parametrize(
    ("data", "content_type", "reason"),
    [
        ('{"dataframe_records": [{"message": "hola"}]}', None, "no Content-Type"),
        ('{"dataframe_records": [{"message": ' + "9" * 5000 + "}]}", "application/json", "cannot be read"),
        ('{"dataframe_records": ' + "[" * 100_000 + "]" * 100_000 + "}", "application/json", "cannot be read"),
        ('{"dataframe_split": {"columns": [{}], "data": [["a"]]}}', "application/json", "cannot be read"),
        ('{"dataframe_split": {"columns": ["message"], "data": ["ab"]}}', "application/json", "row 0 is not a list"),
        ('{"dataframe_split": {"columns": ["message", "message"], "data": [["a", "b"]]}}', "application/json", "twice"),
        ('{"dataframe_records": ["a"]}', "application/json", "row 0 is str"),
        ('{"inputs": {"message": "ab"}}', "application/json", "lists of the same length"),
        ('{"inputs": ["a"], "instances": ["a"]}', "application/json", "exactly one of the input fields"),
        ('{"dataframe_records": [{"message": "\\ud800"}]}', "application/json", "row 0 holds half of a surrogate"),
        ("", "text/csv", "missing inputs"),
        ("texto\nhola", "text/csv", "missing inputs"),
        ("message,message\na,b", "text/csv", "twice"),
        ('{"dataframe_records": [{"message"', "application/json", "valid JSON"),
        ('{"dataframe_records": []}', "application/json", "missing inputs"),
        (b"\xff", "text/csv", "valid UTF-8"),
    ],
)  # fmt: skip
def test_what_is_unreadable_is_refused_with_status_400(loaded, data, content_type, reason):
    with pytest.raises(MlflowException, match=reason) as refused:
        ask(loaded["sms-spam"], data, content_type)
    assert refused.value.get_http_status_code() == 400


@pytest.mark.usefixtures("server_functions")
def test_what_is_readable_is_answered(saved, loaded):
    answer = ask(loaded["sms-spam"], json.dumps({"dataframe_records": [{"message": text} for text in TITLES]}))
    assert answer.status == 200
    predictions = json.loads(answer.response)["predictions"]
    assert flat(predictions) == pytest.approx(flat(expected("sms-spam", saved["sms-spam"], TITLES)))


AS_THEY_ARE = [
    "NA", "null", "None", "nan", "", " ", "5", "007", "1e5", "1,000", "true", "2020-01-01", "12:30", " WIN ",
    'say "hi"', '"quoted"', "free, entry", "two\nlines", "two\r\nlines", "a;b\tc", "#", "ñandú 😀", "\ufeffhola", "'",
    "x" * 900,
]  # fmt: skip


def request(form: str, columns: list[str], texts: list[str]) -> tuple[str | bytes, str]:
    """The body and Content-Type of a request with these texts in every column."""
    frame = pd.DataFrame({name: pd.Series(texts, dtype=object) for name in columns})
    if form == "csv":
        body = io.StringIO(newline="")
        csv.writer(body).writerows([columns, *([text] * len(columns) for text in texts)])
        return body.getvalue(), "text/csv; charset=utf-8"
    if form == "parquet":
        return frame.to_parquet(), "application/vnd.apache.parquet"
    content = {
        "split": {"dataframe_split": {"columns": columns, "data": frame.to_numpy().tolist()}},
        "records": {"dataframe_records": frame.to_dict("records")},
        "inputs": {"inputs": frame.to_dict("list")},
        "instances": {"instances": frame.to_dict("records")},
        "list": {"instances": texts if len(columns) == 1 else frame.to_dict("records")},
    }
    return json.dumps(content[form]), "application/json"


FORMS = ("csv", "parquet", "split", "records", "inputs", "instances", "list")


@pytest.mark.usefixtures("server_functions")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SERVICES)
def test_a_text_that_looks_like_something_else_is_scored_as_the_text_it_is(saved, loaded, name, form):
    answer = ask(loaded[name], *request(form, SERVICES[name].columns, AS_THEY_ARE))
    assert answer.status == 200
    wanted = expected(name, saved[name], *[AS_THEY_ARE] * len(SERVICES[name].columns))
    assert flat(json.loads(answer.response)["predictions"]) == pytest.approx(flat(wanted), abs=1e-5)


@pytest.mark.usefixtures("server_functions")
@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("name", SERVICES)
def test_a_value_that_is_no_text_is_refused_with_its_row(loaded, name, form):
    columns = [["a", None], [5, 6], [None, None], [True, False], [1.5, 2.5]]
    for values in columns if form == "parquet" else [["a", 5], *columns]:
        row = next(i for i, value in enumerate(values) if not isinstance(value, str))
        with pytest.raises(MlflowException, match=rf"of row {row} is (null|int|bool|float)") as refused:
            ask(loaded[name], *request(form, SERVICES[name].columns, values))
        assert refused.value.get_http_status_code() == 400


@pytest.mark.usefixtures("server_functions")
@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (["fine", "free entry, text WIN"], "row 1 has"),
        (["fine", "fine", ""], "row 2 has 0 fields"),
        (["fine", ",", "fine", ",,,,"], "row [13] has"),
        (['"fine" text'], "row 0 cannot be read as CSV"),
        (["fine", '"never closed'], "row 1 cannot be read as CSV"),
        (["fine", "old\rline end"], "row 1 cannot be read as CSV"),
    ],
)
@pytest.mark.parametrize("name", SERVICES)
def test_a_csv_row_that_is_not_one_text_a_column_is_refused_with_its_row(loaded, name, rows, reason):
    columns = SERVICES[name].columns
    body = "\n".join([",".join(columns), *(",".join([row] * len(columns)) if row else "" for row in rows)]) + "\n"
    with pytest.raises(MlflowException, match=reason) as refused:
        ask(loaded[name], body, "text/csv")
    assert refused.value.get_http_status_code() == 400


@pytest.mark.usefixtures("server_functions")
def test_columns_that_are_not_wanted_are_left_out(saved, loaded):
    wanted = pytest.approx(flat(expected("sms-spam", saved["sms-spam"], ["NA", "b"])), abs=1e-5)
    frame = pd.DataFrame({"id": [1, 2], "message": ["NA", "b"], "when": [None, 2.5]})
    bodies = [
        (frame.to_csv(), "text/csv"),
        (json.dumps({"dataframe_records": frame.to_dict("records")}), "application/json"),
        (json.dumps({"dataframe_split": frame.to_dict("split")}), "application/json"),
        (json.dumps({"inputs": frame.to_dict("list")}), "application/json"),
        (frame.to_parquet(), "application/vnd.apache.parquet"),
    ]
    for body, content_type in bodies:
        assert flat(json.loads(ask(loaded["sms-spam"], body, content_type).response)["predictions"]) == wanted


def test_the_command_line_registers_all_or_what_is_named(monkeypatch, capsys, tmp_path):
    asked = []
    monkeypatch.setenv("PROFILE", "quick")  # and back: the command sets it
    monkeypatch.setattr(serving, "register", lambda name, folder: asked.append((name, folder)) or f"models:/{name}/1")
    assert main(["register"]) == 0
    assert main(["register", "sms-spam", "--model", str(tmp_path)]) == 0
    assert asked == [*((name, None) for name in SERVICES), ("sms-spam", tmp_path)]
    assert "registered: models:/sms-spam/1" in capsys.readouterr().out
    assert tuple(SERVICES) == cli.MODELS


@pytest.fixture
def served(monkeypatch):
    """Stands in for MLflow's server; holds what it would be."""
    became = []
    monkeypatch.setenv("PROFILE", "quick")
    monkeypatch.setattr(serving, "current", lambda name: None)
    monkeypatch.setattr(serving, "register", lambda name: f"models:/{name}/7")
    monkeypatch.setattr(serving.os, "execve", lambda *call: became.append(call))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return became


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def test_serving_registers_what_is_missing_and_becomes_mlflows_server(served):
    port = free_port()
    assert main(["serve", "sms-spam", "--port", str(port)]) == 0
    program, arguments, environment = served[0]
    assert arguments[:5] == [program, "-m", "mlflow", "models", "serve"]
    assert dict(zip(arguments[5::2], arguments[6::2], strict=True)) == {
        "--model-uri": "models:/sms-spam/7", "--env-manager": "local", "--host": "127.0.0.1", "--port": str(port),
    }  # fmt: skip
    assert environment["MLFLOW_TRACKING_URI"].startswith("sqlite:///")


def test_a_port_that_is_taken_is_one_line(served, capsys):
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "sms-spam", "--port", str(port)]) == 1
    assert f"port {port} is taken" in capsys.readouterr().err
    assert served == []


def test_a_device_that_is_not_there_is_one_line_before_the_server_starts(served, monkeypatch, capsys):
    monkeypatch.setenv("DEVICE", "cuda:99")
    assert main(["serve", "sms-spam"]) == 1
    assert capsys.readouterr().err.startswith("error: DEVICE=cuda:99")
    assert served == []


def test_own_addresses_never_go_through_a_proxy(served, monkeypatch):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody answers there
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert main(["serve", "sms-spam", "--port", str(free_port())]) == 0
    assert served[0][2]["no_proxy"] == served[0][2]["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    with ThreadingHTTPServer((HOST, 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert requests.get(f"http://{HOST}:{server.server_port}", timeout=30).status_code == 204
        server.shutdown()
