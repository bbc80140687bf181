"""Tests write outside the working tree, whatever the environment says; and how long test_fuzz.py looks."""

import pytest
from hypothesis import HealthCheck, settings

FUZZ = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=200, derandomize=True, **FUZZ)  # the same cases every time
settings.register_profile("long", max_examples=2000, **FUZZ)


@pytest.fixture(scope="session")
def outside(tmp_path_factory):
    """One folder for the whole session: a new tracking store for every test would cost seconds."""
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(autouse=True)
def _nothing_written_into_the_tree(outside, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{outside / 'mlflow.db'}")
    monkeypatch.setenv("RESULTS_DIR", str(outside / "results"))
    monkeypatch.setenv("ARTIFACTS_DIR", str(outside / "artifacts"))
    monkeypatch.setenv("PROFILE", "quick")
    monkeypatch.setenv("DATA_OFFLINE", "1")
