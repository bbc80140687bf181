"""Which words of a sentence a similarity model cannot read: an answer about them is told, not given silently. What the registered models answer: MLflow's pyfunc around saved models; a request that is wrong is told why. The models registered in MLflow: what each is made of, and how it is made again where the store is empty."""

import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import version as installed
from pathlib import Path

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext, scoring_server
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Object, Property

from helpers import settings
from helpers.data.batching import UNKNOWN, SentenceReader
from helpers.data.corpora import SMS_LABELS
from helpers.data.splits import tokenize_sentence
from helpers.model.checkpoints import DESCRIPTION, SAMPLE_MARK, CheckpointError
from helpers.report import tracking
from helpers.tasks import meli, meli_titles, sick, sms
from helpers.tasks.meli import MeliModel
from helpers.tasks.sick import SimilarityModel
from helpers.tasks.sms import SpamModel


def unknown_words(reader: SentenceReader, *sentences: str) -> list[str]:
    """Words without a vector in any spelling, each once, as first met; to the model they are all the same word."""
    words = dict.fromkeys(word for sentence in sentences for word in tokenize_sentence(sentence))
    return [word for word in words if UNKNOWN in reader.word_ids(word)]


MAX_ROWS = 10_000  # of a request
TOLD = 5  # categories per title
ARTIFACT = "saved"  # the folder of tensors and JSON inside the logged model


@dataclass(frozen=True)
class Service:
    """What a registered model reads and answers.

    Attributes:
        task: what the description of its checkpoint names.
        load: from the folder to the model.
        answer: from the model and one list of texts per column to one row per request row.
        example: rows that the model can be asked.
        outputs: columns of the answer.
        longest: characters of a text; None where the model itself reads but the beginning of a long one.
    """

    task: str
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
    best = model.predict(titles, k=min(TOLD, len(model.categories)))
    return pd.DataFrame({"categories": [[{"category": c, "probability": p} for c, p in row] for row in best]})


def _spam(model: SpamModel, messages: Sequence[str]) -> pd.DataFrame:
    probability = model.predict_proba(messages)
    labels = [SMS_LABELS[int(spam)] for spam in probability >= model.config.threshold]
    return pd.DataFrame({"label": labels, "spam_probability": probability})


def _relatedness(model: SimilarityModel, first: Sequence[str], second: Sequence[str]) -> pd.DataFrame:
    relatedness = model.similarity(first, second)
    unknown = [unknown_words(model.reader, *pair) for pair in zip(first, second, strict=True)]
    return pd.DataFrame(
        {"relatedness": relatedness, "similar": relatedness >= model.threshold, "unknown_words": unknown}
    )


_CATEGORY = Object([Property("category", DataType.string), Property("probability", DataType.double)])
SERVICES = {
    "meli-titles": Service(
        "meli",
        MeliModel.load,
        _categories,
        pd.DataFrame({"title": ["Funda Samsung J7 Prime", "Bicicleta rodado 29 aluminio"]}),
        Schema([ColSpec(Array(_CATEGORY), "categories")]),
    ),
    "sms-spam": Service(
        "sms",
        SpamModel.load,
        _spam,
        pd.DataFrame({"message": ["WINNER! Claim your prize now", "see you at six"]}),
        Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "spam_probability")]),
    ),
    "sick-similarity": Service(
        "sick",
        SimilarityModel.load,
        _relatedness,
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
}


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
            refuse_what_is_unreadable()

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

    An empty batch is refused as well: sent as records it has no columns, and MLflow refuses it before we see it.

    Raises:
        MlflowException: no row, too many, something that is no text, or one too long: names row and column.
    """
    if not 1 <= len(frame) <= MAX_ROWS:
        raise refused(f"{len(frame):,} rows: send at least 1 and at most {MAX_ROWS:,}")
    columns = [frame[name].tolist() for name in service.columns]
    for name, texts in zip(service.columns, columns, strict=True):
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                kind = "null" if text is None or text != text else type(text).__name__
                raise refused(f"{name} of row {row} is {kind}, not a string")
            if service.longest and len(text) > service.longest:
                raise refused(f"{name} of row {row} has {len(text):,} characters: send at most {service.longest:,}")
    return columns


def refused(reason: str) -> MlflowException:
    """What MLflow's server answers with status 400."""
    return MlflowException(reason, error_code=BAD_REQUEST)


def refuse_what_is_unreadable() -> None:
    """Give status 400 and a reason where MLflow's server, in this process, would fail with 500 or guess.

    It fails on a request without Content-Type, on integers of thousands of digits, on JSON nested too deep and on odd
    names of columns. Of what stands under `inputs` and `instances` it makes text: "None" of null, "5" of 5.
    """
    invocations = scoring_server.invocations

    @wraps(invocations)
    def guarded(data, content_type, model, input_schema):
        if not content_type:
            raise refused("no Content-Type: send application/json")
        try:
            return invocations(data, content_type, model, input_schema)
        except (ValueError, TypeError, RecursionError) as error:
            raise refused(f"the request cannot be read: {error}") from error

    def only_data_frames(received, schema=None):
        raise refused(f"{' and '.join(received)}: send dataframe_records or dataframe_split instead")

    scoring_server.invocations = guarded
    scoring_server.parse_tf_serving_input = only_data_frames


EXPERIMENT = "registry"
SCRIPT = Path(__file__).with_name("served_model.py")
NEEDS = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "safetensors", "mlflow")  # besides this package


@dataclass(frozen=True)
class Recipe:
    """How a model is trained: the best configuration, with the first of the seeds that are reported.

    Attributes:
        study: whose table says how long that takes.
        seeds: of the split, where there is one to draw, and of the model.
        train: from these seeds to the Result.
    """

    study: str
    seeds: dict
    train: Callable[..., object]


RECIPES = {
    "meli-titles": Recipe(
        "meli-models",
        {"split_seed": meli_titles.FIRST_SPLIT_SEED, "model_seed": meli_titles.FIRST_SPLIT_SEED},
        lambda **seeds: meli.train("best", verbose=True, **seeds),
    ),
    "sms-spam": Recipe(
        "sms-models",
        {"split_seed": sms.FIRST_SPLIT_SEED, "model_seed": sms.FIRST_SPLIT_SEED},
        lambda **seeds: sms.train("best", verbose=True, **seeds),
    ),
    "sick-similarity": Recipe(
        "sick-models",
        {"evaluate_on": "test", "model_seed": 1},
        lambda **seeds: sick.train("best", verbose=True, **seeds),
    ),
}


def current(name: str) -> str | None:
    """The newest registered version of a model whose files are still there, as MLflow's address of it; else None.

    Raises:
        ValueError: no model of this name.
    """
    _known(name)
    found = _newest(tracking.client(), name)
    return None if found is None else _address(found)


def register(name: str, folder: Path | None = None) -> str:
    """Log a saved model to MLflow and register it; where it is registered already, nothing is added.

    Args:
        folder: what save() of the task's model wrote. None: <artifacts>/<name>, where the best configuration is
            trained and saved first if it is not there yet.

    Returns:
        MLflow's address of the version: models:/<name>/<number>.

    Raises:
        ValueError: no model of this name.
        CheckpointError: the folder is missing, damaged, or holds a model of another task or of synthetic data.
    """
    service, metrics, seeds = _known(name), {}, {}
    if folder is None:
        folder = settings.artifacts_dir() / name
        if not (folder / DESCRIPTION).is_file():
            metrics, seeds = _train(name, folder), RECIPES[name].seeds
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
    recipe = RECIPES[name]
    print(f"{name}: no saved model in {folder}; training the best configuration, {_duration(recipe.study)}", flush=True)
    result = recipe.train(**recipe.seeds)
    print(f"saved: {result.model.save(folder)}", flush=True)
    return result.metrics


def _duration(study: str) -> str:
    """How long the committed table says that it takes."""
    path = settings.ROOT / "results" / "studies" / f"{study}.csv"
    if not path.is_file():
        return "some minutes"
    table = pd.read_csv(path)
    seconds = table.loc[table["model"] == "best", "seconds"].median()
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"about {seconds:.0f} s"


def _known(name: str) -> Service:
    if name not in SERVICES:
        raise ValueError(f"model {name!r} is not one of {', '.join(SERVICES)}")
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
