"""The script that MLflow logs, and runs wherever a registered model is loaded (models from code: no pickle)."""

from mlflow.models import set_model

from helpers.apps.serving import ServedModel

set_model(ServedModel())
