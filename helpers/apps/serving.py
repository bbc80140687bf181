"""The models registered in MLflow: what each reads and answers, how it is registered, and the server around it.

    curl 127.0.0.1:5001/invocations -H 'Content-Type: application/json' \\
      -d '{"dataframe_records": [{"message": "WINNER! Claim your prize now"}]}'

A request is scored as the text that it holds, or refused with status 400 and the row that is wrong.
"""

import csv
import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import version as installed
from io import StringIO
from pathlib import Path
from types import ModuleType

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext, scoring_server
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Object, Property

from helpers import settings
from helpers.model.checkpoints import DESCRIPTION, SAMPLE_MARK, CheckpointError
from helpers.report import tracking
from helpers.settings import WrongValue
from helpers.tasks import meli, sick, sms
from helpers.tasks.meli import MeliModel
from helpers.tasks.sick import SimilarityModel
from helpers.tasks.sms import SpamModel

MAX_ROWS = 10_000  # of a request
SHOWN = 5  # categories per title
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
ARTIFACT = "saved"  # the folder of tensors and JSON inside the logged model
EXPERIMENT = "registry"
SCRIPT = Path(__file__).with_name("served_model.py")
NEEDS = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "safetensors", "mlflow")  # besides this package


@dataclass(frozen=True)
class Service:
    """What a registered model reads and answers, and how it is trained.

    Attributes:
        task: what the description of its checkpoint names.
        module: trains it.
        seeds: of the split, where there is one to draw, and of the model: the first of those that are reported.
        study: whose table says how long that takes.
        load: from the folder to the model.
        answer: from the model and one list of texts per column to one row per request row.
        example: rows that the model can be asked.
        outputs: columns of the answer.
        longest: characters of a text; None where the model itself reads but the beginning of a long one.
    """

    task: str
    module: ModuleType
    seeds: dict
    study: str
    load: Callable[[Path], object]
    answer: Callable[..., pd.DataFrame]
    example: pd.DataFrame
    outputs: Schema
    longest: int | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns that a request must have."""
        return list(self.example)

    @property
    def signature(self) -> ModelSignature:
        """Strings go in; no column may be missing."""
        return ModelSignature(Schema([ColSpec(DataType.string, name) for name in self.columns]), self.outputs)


def _categories(model: MeliModel, titles: Sequence[str]) -> pd.DataFrame:
    best = model.top(titles, min(SHOWN, len(model.categories)))
    return pd.DataFrame({"categories": [[{"category": c, "probability": p} for c, p in row] for row in best]})


def _spam(model: SpamModel, messages: Sequence[str]) -> pd.DataFrame:
    probability = model.predict_proba(messages)[:, 1]
    labels = ["spam" if spam else "ham" for spam in probability >= model.config.threshold]
    return pd.DataFrame({"label": labels, "spam_probability": probability})


def _relatedness(model: SimilarityModel, first: Sequence[str], second: Sequence[str]) -> pd.DataFrame:
    relatedness = model.similarity(first, second)
    unknown = [model.reader.unknown(*pair) for pair in zip(first, second, strict=True)]
    return pd.DataFrame(
        {"relatedness": relatedness, "similar": relatedness >= model.threshold, "unknown_words": unknown}
    )


_CATEGORY = Object([Property("category", DataType.string), Property("probability", DataType.double)])
SERVICES = {
    "meli-titles": Service(
        "meli", meli, {"split_seed": 1, "model_seed": 1}, "meli-models", MeliModel.load, _categories,
        pd.DataFrame({"title": ["Funda Samsung J7 Prime", "Bicicleta rodado 29 aluminio"]}),
        Schema([ColSpec(Array(_CATEGORY), "categories")]),
    ),
    "sms-spam": Service(
        "sms", sms, {"split_seed": 1, "model_seed": 1}, "sms-models", SpamModel.load, _spam,
        pd.DataFrame({"message": ["WINNER! Claim your prize now", "see you at six"]}),
        Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "spam_probability")]),
    ),
    "sick-similarity": Service(
        "sick", sick, {"evaluate_on": "test", "model_seed": 1}, "sick-models", SimilarityModel.load, _relatedness,
        pd.DataFrame({"sentence_a": ["A dog is running"], "sentence_b": ["An animal is moving fast"]}),
        Schema(
            [
                ColSpec(DataType.double, "relatedness"),
                ColSpec(DataType.boolean, "similar"),
                ColSpec(Array(DataType.string), "unknown_words"),
            ]
        ),
        longest=1_000,
    ),
}  # fmt: skip


class ServedModel(PythonModel):
    """The saved model of a task, asked with a data frame of texts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model from the folder of tensors and JSON; its description says of which task it is."""
        folder = Path(context.artifacts[ARTIFACT])
        task = json.loads((folder / DESCRIPTION).read_text(encoding="utf8"))["task"]
        self.service = next(service for service in SERVICES.values() if service.task == task)
        self.model = self.service.load(folder)
        self.lock = threading.Lock()
        if scoring_server._SERVER_MODEL_PATH in os.environ:  # set by `mlflow models serve` for its server alone
            read_requests_as_they_are()

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None):
        """One row of answers per row of texts.

        Raises:
            MlflowException: what is wrong with the rows; the server answers it with status 400.
        """
        texts = texts_of(model_input, self.service)
        with self.lock:  # one after the other: each uses all threads, and memory for one batch is enough
            return self.service.answer(self.model, *texts)


def texts_of(frame: pd.DataFrame, service: Service) -> list[list[str]]:
    """One list of texts per column.

    Raises:
        MlflowException: no row, too many, something that is no text, or one too long: names row and column.
    """
    if not 1 <= len(frame) <= MAX_ROWS:
        raise refused(f"{len(frame):,} rows: send at least 1 and at most {MAX_ROWS:,}")
    columns = [frame[name].tolist() for name in service.columns]
    for name, texts in zip(service.columns, columns, strict=True):
        for row, text in enumerate(texts):
            if fault := _fault(text, service.longest):
                raise refused(f"{name} of row {row} {fault}")
    return columns


def _fault(text, longest: int | None) -> str | None:
    if not isinstance(text, str):
        kind = "null" if text is None or text != text else type(text).__name__
        return f"is {kind}, not a string"
    if longest and len(text) > longest:
        return f"has {len(text):,} characters: send at most {longest:,}"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "holds half of a surrogate pair, which is no character"
    return None


def refused(reason: str) -> MlflowException:
    """What MLflow's server answers with status 400."""
    return MlflowException(reason, error_code=BAD_REQUEST)


def read_requests_as_they_are() -> None:
    """Read requests in MLflow's server, in this process, so that a text stays what it is.

    MLflow reads them with pandas, which takes "NA" for a gap, makes "None" of null and "5" of 5, and takes what stands
    before an unquoted comma for the row's name. It fails with status 500 on a request without Content-Type, on integers
    of thousands of digits and on JSON nested too deep.
    """
    invocations, parquet = scoring_server.invocations, scoring_server.parse_parquet_input

    @wraps(invocations)
    def guarded(data, content_type, model, input_schema):
        if not content_type:
            raise refused("no Content-Type: send application/json")
        try:
            return invocations(data, content_type, model, input_schema)
        except (ValueError, TypeError, RecursionError) as error:
            raise refused(f"the request cannot be read: {error}") from error

    scoring_server.invocations = guarded
    scoring_server.infer_and_parse_data = lambda data, schema=None: frame_of_json(data, schema.input_names())
    scoring_server.parse_csv_input = lambda csv_input, schema=None: frame_of_csv(csv_input.read(), schema.input_names())
    scoring_server.parse_parquet_input = lambda parquet_input: parquet(parquet_input).astype(object)


def frame_of_json(received: dict, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a JSON request, values as they are.

    Args:
        received: one of FORMS -> content. `inputs` and `instances` hold records, or lists by column, or, where one
            column alone is wanted, its texts.
        columns: that are wanted; others are left out.

    Raises:
        MlflowException: another layout, or no such column.
    """
    forms = [form for form in FORMS if form in received]
    if len(forms) != 1:
        raise refused(f"send exactly one of the input fields {', '.join(FORMS)}; received {list(received)}")
    form, content = forms[0], received[forms[0]]
    if form == "dataframe_split":
        return _frame_of_split(content, columns)
    if form != "dataframe_records" and isinstance(content, dict):
        return _frame_of_columns(form, content, columns)
    if not isinstance(content, list):
        raise refused(f"{form} must be a list of records {{column: text}}")
    if form != "dataframe_records" and len(columns) == 1:
        content = [value if isinstance(value, dict) else {columns[0]: value} for value in content]
    for row, record in enumerate(content):
        if not isinstance(record, dict):
            raise refused(f"{form}: row {row} is {type(record).__name__}, not a record {{column: text}}")
    _check_names(list({name: None for record in content for name in record}), columns)
    return _frame(columns, [[record.get(name) for name in columns] for record in content])


def _frame_of_split(content, columns: Sequence[str]) -> pd.DataFrame:
    names, rows = (content.get("columns"), content.get("data")) if isinstance(content, dict) else (None, None)
    if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(name, str) for name in names):
        raise refused('dataframe_split cannot be read: send {"columns": [names], "data": [rows]}')
    _check_names(names, columns)
    for row, values in enumerate(rows):
        if not isinstance(values, list) or len(values) != len(names):
            raise refused(f"dataframe_split: row {row} is not a list of {len(names)} ({', '.join(names)})")
    return _frame(columns, [[values[names.index(name)] for name in columns] for values in rows])


def _frame_of_columns(form: str, content: dict, columns: Sequence[str]) -> pd.DataFrame:
    _check_names(list(content), columns)
    wanted = [content[name] for name in columns]
    if not all(isinstance(values, list) and len(values) == len(wanted[0]) for values in wanted):
        raise refused(f"{form}: {' and '.join(columns)} must be lists of the same length")
    return _frame(columns, list(zip(*wanted, strict=True)))


def frame_of_csv(text: str, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a CSV request, every field a text as it is.

    Args:
        columns: that are wanted; others are left out.

    Raises:
        MlflowException: no such column, a row with more or fewer fields than the header, quotes that do not close.
    """
    csv.field_size_limit(sys.maxsize)
    rows = []
    try:
        for row in csv.reader(StringIO(text.removeprefix("\ufeff"), newline="\n"), strict=True):
            rows.append(row)
    except csv.Error as error:
        where = f"row {len(rows) - 1}" if rows else "the header"
        raise refused(f"{where} cannot be read as CSV ({error}): quote texts, double their quotes") from error
    names = rows[0] if rows else []
    _check_names(names, columns)
    for number, row in enumerate(rows[1:]):
        if len(row) != len(names):
            raise refused(
                f"row {number} has {len(row)} fields, and the header {len(names)}: put texts that hold commas or "
                'line ends between quotes, and write "" for an empty one'
            )
    return _frame(columns, [[row[names.index(name)] for name in columns] for row in rows[1:]])


def _check_names(names: Sequence[str], columns: Sequence[str]) -> None:
    if lacking := [name for name in columns if name not in names]:
        raise refused(f"missing inputs {lacking}: found {', '.join(names) or 'none'}")
    if twice := [name for name in columns if list(names).count(name) > 1]:
        raise refused(f"column {twice[0]} stands twice")


def _frame(columns: Sequence[str], rows: Sequence[Sequence]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(columns)})


def current(name: str) -> str | None:
    """The newest registered version of a model whose files are still there, as MLflow's address of it; else None.

    Raises:
        WrongValue: no model of this name.
    """
    _known(name)
    found = _newest(tracking.client(), name)
    return None if found is None else _address(found)


def register(name: str, folder: str | Path | None = None) -> str:
    """Log a saved model to MLflow and register it; where it is registered already, nothing is added.

    Args:
        folder: what save() of the task's model wrote. None: <artifacts>/<name>, where the best configuration is
            trained and saved first if it is not there yet.

    Returns:
        MLflow's address of the version: models:/<name>/<number>.

    Raises:
        WrongValue: no model of this name.
        CheckpointError: the folder is missing, damaged, or holds a model of another task or of synthetic data.
    """
    service, metrics, seeds = _known(name), {}, {}
    if folder is None:
        folder = settings.artifacts_dir() / name
        if not (folder / DESCRIPTION).is_file():
            metrics, seeds = _train(name, folder), service.seeds
    folder = Path(folder)
    if (folder / SAMPLE_MARK).is_file():
        raise CheckpointError(f"{folder} was trained on the synthetic sample: train with PROFILE=full, or delete it")
    service.answer(service.load(folder), *texts_of(service.example, service))  # what cannot answer is not registered
    mlflow, digest = tracking.client(), _digest(folder, service)
    newest = _newest(mlflow, name)
    if newest is not None and newest.tags.get("digest") == digest:
        return _address(newest)
    print(f"{name}: registering the model of {folder}", flush=True)
    config = json.loads((folder / DESCRIPTION).read_text(encoding="utf8"))["config"]
    with tracking.run(EXPERIMENT, name, params=config | seeds) as tracked:
        tracked.metrics(metrics)
        logged = mlflow.pyfunc.log_model(
            name=name, python_model=str(SCRIPT), artifacts={ARTIFACT: str(folder)}, signature=service.signature,
            input_example=service.example, pip_requirements=[f"{need}=={_release(need)}" for need in NEEDS],
        )  # fmt: skip
        return _address(mlflow.register_model(logged.model_uri, name, tags={"digest": digest}))


def _train(name: str, folder: Path) -> dict[str, float]:
    """Train and save; the metrics."""
    service = SERVICES[name]
    print(f"{name}: no saved model in {folder}; training the best configuration, {_duration(service)}", flush=True)
    result = service.module.train("best", verbose=True, **service.seeds)
    print(f"saved: {result.model.save(folder)}", flush=True)
    return result.metrics


def _duration(service: Service) -> str:
    """How long the committed table says that it takes."""
    path = settings.ROOT / "results" / "studies" / f"{service.study}.csv"
    if not path.is_file():
        return "some minutes"
    table = pd.read_csv(path)
    seconds = table.loc[table["model"] == "best", "seconds"].median()
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"about {seconds:.0f} s"


def _known(name: str) -> Service:
    if name not in SERVICES:
        raise WrongValue(f"model {name!r} is not one of {', '.join(SERVICES)}")
    return SERVICES[name]


def _newest(mlflow, name: str):
    """The newest version of a registered model, if its files are still there."""
    client = mlflow.MlflowClient()
    found = client.search_model_versions(f"name='{name}'", order_by=["version_number DESC"], max_results=1)
    return found[0] if found and mlflow.artifacts.list_artifacts(artifact_uri=_address(found[0])) else None


def _address(found) -> str:
    return f"models:/{found.name}/{found.version}"


def _digest(folder: Path, service: Service) -> str:
    """Of the model (its description holds the hash of the tensors) and of what it reads and answers."""
    content = (folder / DESCRIPTION).read_bytes() + json.dumps(service.signature.to_dict()).encode()
    return hashlib.sha256(content + SCRIPT.read_bytes()).hexdigest()


def _release(package: str) -> str:
    """The installed version, without local suffix."""
    return installed(package).split("+")[0]


def serve(name: str, port: int) -> None:
    """Become MLflow's server of a model, registered first if it is not; ends with Ctrl-C.

    Raises:
        WrongValue: no model of this name, or the port is taken.
    """
    settings.device()  # a wrong one is told here, not in the server's log
    address = current(name) or register(name)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, port))
        except OSError:
            raise WrongValue(f"port {port} is taken: give another, --port N (make: PORT=N)") from None
    print(f"{address}: POST http://{settings.HOST}:{port}/invocations; it is ready once GET /ping answers", flush=True)
    arguments, environment = server(address, port)
    os.execve(arguments[0], arguments, environment)  # noqa: S606 (no shell; names from a fixed list)


def server(address: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that serves a registered model, and the environment it needs.

    Args:
        address: models:/<name>/<version>.
    """
    settings.reach_own_servers()
    command = ["models", "serve", "--model-uri", address, "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])  # MLflow: `uvicorn`
    environment = os.environ | {
        "PATH": path, "MLFLOW_TRACKING_URI": tracking.store_uri(), "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "OMP_NUM_THREADS": str(settings.threads()),
    }  # fmt: skip
    return [sys.executable, "-m", "mlflow", *command, "--host", settings.HOST, "--port", str(port)], environment
