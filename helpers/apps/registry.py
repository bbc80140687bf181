"""The models registered in MLflow: what each is made of, and how it is made again where the store is empty."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path

import pandas as pd

from helpers import settings
from helpers.apps.serving import ARTIFACT, SERVICES, Service, texts_of
from helpers.model.checkpoints import DESCRIPTION, SAMPLE_MARK, CheckpointError
from helpers.report import tracking
from helpers.tasks import meli, meli_data, sick, sms

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
        {"split_seed": meli_data.FIRST_SPLIT_SEED, "model_seed": meli_data.FIRST_SPLIT_SEED},
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
