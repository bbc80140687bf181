import numpy as np
import pandas as pd
import pytest
import torch

from helpers import settings


def frame(sample):
    made = pd.DataFrame({"text": ["a", "b"]})
    made.attrs = {"sample": sample, "sha256": "0123456789abcdef"}
    return made


def test_the_banner_tells_real_data_from_the_sample(capsys, monkeypatch):
    monkeypatch.setenv("PROFILE", "full")
    settings.banner(sms=frame(sample=False))
    printed = capsys.readouterr().out
    assert "perfil     full" in printed
    assert "sms: 2 filas · datos reales · sha256 0123456789ab" in printed
    assert "MUESTRA SINTÉTICA" not in printed
    settings.banner(sms=frame(sample=True))
    assert "MUESTRA SINTÉTICA" in capsys.readouterr().out.splitlines()[0]


def test_versions_have_no_local_suffix():
    assert "+" not in "".join(settings.versions().values())


@pytest.mark.parametrize(
    ("name", "value", "call"), [("PROFILE", "fast", settings.profile), ("THREADS", "0", settings.threads)]
)
def test_wrong_settings_are_named(monkeypatch, name, value, call):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name}='{value}'"):
        call()


def test_pick_follows_the_profile(monkeypatch):
    assert settings.pick(quick=1, full=2) == 1
    monkeypatch.setenv("PROFILE", "full")
    assert settings.pick(quick=1, full=2) == 2


def test_relative_paths_start_at_the_repository(monkeypatch):
    monkeypatch.setenv("DATA_MIRROR", "../mirror")
    assert settings.mirror() == str(settings.ROOT / "../mirror")
    monkeypatch.setenv("DATA_MIRROR", "http://127.0.0.1:8000/data/")
    assert settings.mirror() == "http://127.0.0.1:8000/data"


def test_seeding_repeats_every_generator():
    def draws():
        generator = settings.seed_everything(5)
        return np.random.rand(), torch.rand(1).item(), torch.rand(1, generator=generator).item()  # noqa: NPY002

    assert draws() == draws()
