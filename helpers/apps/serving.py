"""What the registered models answer: MLflow's pyfunc around saved models; a request that is wrong is told why."""

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext, scoring_server
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array, Object, Property

from helpers.apps.unknown import unknown_words
from helpers.data.corpora import SMS_LABELS
from helpers.model.checkpoints import DESCRIPTION
from helpers.tasks.meli_model import MeliModel
from helpers.tasks.sick_model import SimilarityModel
from helpers.tasks.sms import SpamModel

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
