"""What the three tasks share: saved models of before, encodings, configurations by name, the register of studies."""

import json
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import settings
from helpers.model.checkpoints import DESCRIPTION, CheckpointError
from helpers.tasks import ROWS, STUDIES, base, meli, meli_studies, sick, sms
from helpers.tasks.base import config_hash

SAVED = Path(__file__).parent / "saved"  # models of a second's training, and what they predicted, of the first release
MODELS = {"sms": sms.SpamModel, "meli": meli.MeliModel, "sick": sick.SimilarityModel}
CONFIGS = {"sms": sms.CONFIGS, "meli": meli.CONFIGS, "sick": sick.CONFIGS}
WITHOUT = {"word_svm", "char_svm", "ensemble", *meli_studies.BASELINES, "mean_cosine_glove", "mean_cosine_googlenews"}


def predicted(task: str) -> dict:
    return json.loads((SAVED / "predictions.json").read_text(encoding="utf-8"))[task]


def edited(task: str, folder: Path, change) -> Path:
    """A copy of a saved model with another description."""
    shutil.copytree(SAVED / task, folder)
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    change(description)
    (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    return folder


def test_an_sms_model_of_before_is_read_and_predicts_as_it_did():
    model, said = sms.SpamModel.load(SAVED / "sms"), predicted("sms")
    assert model.predict_proba(said["texts"])[:, 1] == pytest.approx(said["spam"], abs=1e-5)


def test_a_meli_model_of_before_is_read_and_predicts_as_it_did():
    model, said = meli.MeliModel.load(str(SAVED / "meli")), predicted("meli")
    assert model.predict_proba(said["texts"]) == pytest.approx(np.array(said["proba"]), abs=1e-5)
    assert [[name for name, _ in row] for row in model.top(said["texts"], k=2)] == [
        [name for name, _ in row] for row in said["top"]
    ]


def test_a_sick_model_of_before_is_read_and_predicts_as_it_did():
    model, said = sick.SimilarityModel.load(SAVED / "sick"), predicted("sick")
    pairs = said["first"], said["second"]
    assert model.similarity(*pairs) == pytest.approx(said["similarity"], abs=1e-4)
    assert model.similar(*pairs).tolist() == said["similar"]
    assert model.encode(said["first"]) == pytest.approx(np.array(said["vectors"]), abs=1e-5)


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize("other", MODELS)
def test_the_model_of_another_task_is_refused_in_a_line(task, other):
    if task == other:
        return
    with pytest.raises(CheckpointError, match=f"holds no {task} model") as error:
        MODELS[task].load(SAVED / other)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(version=2), "version 2, not 1"),
        (lambda d: d["config"].update(attention=True), "attention"),
        (lambda d: d.pop("config"), "config"),
    ],
)
def test_a_model_of_later_code_is_refused_in_a_line(tmp_path, task, change, words):
    with pytest.raises(CheckpointError, match=words) as error:
        MODELS[task].load(edited(task, tmp_path / "model", change))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", MODELS)
def test_what_is_saved_says_its_version_and_is_read_again(tmp_path, task):
    model = MODELS[task].load(SAVED / task)
    assert model.to("cpu") is model
    folder = model.save(str(tmp_path / "again"))
    assert json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["version"] == base.VERSION
    again = MODELS[task].load(folder)
    assert np.array_equal(again.encode(["one text", ""]), model.encode(["one text", ""]))


@pytest.mark.parametrize("task", ["sms", "meli"])
def test_an_encoding_is_what_the_last_layer_reads(task):
    model, texts = MODELS[task].load(SAVED / task), ["call me at home", "", "funda para celular", "WIN"]
    vectors = model.encode(texts)
    assert vectors.dtype == np.float32
    with torch.inference_mode():
        logits = model.network.output(torch.from_numpy(vectors))
    assert logits.softmax(-1).numpy() == pytest.approx(model.predict_proba(texts), abs=1e-5)
    assert model.encode([]).shape == (0, vectors.shape[1])
    assert len(model.predict_proba([])) == len(model.predict([])) == 0
    assert model.predict_proba([]).shape == (0, logits.shape[1])


@pytest.mark.parametrize(("task", "noun"), [("sms", "message"), ("meli", "title"), ("sick", "sentence")])
def test_what_is_no_list_of_texts_is_refused(task, noun):
    model = MODELS[task].load(SAVED / task)
    asks = [model.encode] if task == "sick" else [model.encode, model.predict_proba, model.predict]
    for ask in asks:
        with pytest.raises(TypeError, match=r"(text|message|title|sentence) 1 is NoneType"):
            ask(["a", None])
        with pytest.raises(TypeError, match="one string where a list of"):
            ask("a")
    with pytest.raises(TypeError, match=noun):
        asks[-1](["a", 3])


def test_the_model_is_on_its_device_before_its_optimizers_are_made(sample_alone, monkeypatch):
    order = []
    for task, frame, options in ((sms, sms.load(100), {}), (meli, meli.load(), {}), (sick, sick.load(40), {})):
        config = {"sms": sms.BEST, "meli": meli.BEST, "sick": sick.DISTRIBUTION}[task.__name__.split(".")[-1]]
        make = task.make_optimizers
        with monkeypatch.context() as patch:
            patch.setattr(base.TextModel, "to", lambda model, device: order.append(device) or model)
            patch.setattr(task, "make_optimizers", lambda *args, make=make: order.append("made") or make(*args))
            task.fit(config, frame, None, seed=0, trainer=lambda *a, **k: base.History([{"epoch": 1}], 1), **options)
        assert order[0] == settings.device()
        assert order[-1] == "made"
        order.clear()


def test_what_is_told_of_validation_is_of_the_epoch_that_was_kept():
    rows = [{"valid_f1": 0.5, "valid_loss": 2.0}, {"valid_f1": 0.9, "valid_loss": 1.0}, {"valid_f1": 0.7}]
    facts = base.training_facts(123, base.History(rows, best_epoch=2), ("valid_loss", "valid_f1", "valid_recall"))
    assert facts == {"parameters": 123, "best_epoch": 2, "epochs": 3, "valid_loss": 1.0, "valid_f1": 0.9}


def test_what_a_study_runs_the_command_line_can_train(monkeypatch):
    monkeypatch.setenv("PROFILE", "full")
    for name, study in STUDIES.items():
        configs = CONFIGS[name.split("-")[0]]
        for spec in study.specs():
            named = spec.get("model", spec.get("name"))
            assert (named in configs) != (named in WITHOUT)
            if named in configs and "technique" not in spec:
                assert spec["config"] == config_hash(configs[named])
                assert study.describe(spec) == {f.name: getattr(configs[named], f.name) for f in fields(configs[named])}


def test_names_and_numbers_of_rows_are_those_of_the_studies(monkeypatch):
    monkeypatch.setenv("PROFILE", "full")
    assert {name: len(study.specs()) for name, study in STUDIES.items()} == ROWS
    assert all(study.name == name for name, study in STUDIES.items())


def test_the_register_imports_nothing_heavy():
    code = "import sys; from helpers.tasks import STUDIES; list(STUDIES); print({'torch', 'pandas'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=settings.ROOT)
    assert found.stdout == "set()\n"
