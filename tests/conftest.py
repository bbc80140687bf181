"""Tests write outside the working tree, whatever the environment says; and how long test_fuzz.py looks."""

import signal

import pytest
from hypothesis import HealthCheck, settings

from helpers.data import sources

FUZZ = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# What a change must pass draws the same cases every time; "new" draws others.
settings.register_profile("quick", max_examples=200, derandomize=True, **FUZZ)
settings.register_profile("long", max_examples=2000, derandomize=True, **FUZZ)
settings.register_profile("new", max_examples=2000, **FUZZ)
settings.register_profile("unit", derandomize=True, **FUZZ)  # no deadline: on a busy machine no example is quick
settings.load_profile("unit")


@pytest.fixture(scope="session")
def outside(tmp_path_factory):
    """One folder for the whole session: a new tracking store for every test would cost seconds."""
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(autouse=True)
def _nothing_written_into_the_tree(outside, monkeypatch):
    _write_to(outside, monkeypatch)
    monkeypatch.setattr(sources, "_sampled", {})


@pytest.fixture
def interruptible():
    """Ctrl-C is heard, also where the shell started the tests in the background and had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def sample_alone(outside, tmp_path_factory):
    """For all of a module, its own fixtures too: whatever real data are at hand, the committed sample is read."""
    with pytest.MonkeyPatch.context() as patch:
        _write_to(outside, patch)
        patch.delenv("DATA_MIRROR", raising=False)
        patch.setenv("DATA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def _write_to(folder, patch):
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    patch.setenv("RESULTS_DIR", str(folder / "results"))
    patch.setenv("ARTIFACTS_DIR", str(folder / "artifacts"))
    patch.setenv("PROFILE", "quick")
    patch.setenv("DATA_OFFLINE", "1")
