import hashlib
import json
import pickle

import pytest
import torch

from helpers.model.checkpoints import DESCRIPTION, TENSORS, CheckpointError, load_checkpoint, save_checkpoint

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


def test_what_is_saved_comes_back(tmp_path):
    save_checkpoint(tmp_path / "model", STATE, {"task": "sms", "palabra": "año"})
    tensors, description = load_checkpoint(tmp_path / "model")
    assert all(torch.equal(tensors[name], value) for name, value in STATE.items())
    assert (description["task"], description["palabra"]) == ("sms", "año")


def test_saving_again_replaces_and_leaves_nothing_beside(tmp_path):
    for number in (1, 2):
        save_checkpoint(tmp_path / "model", STATE, {"number": number})
    assert load_checkpoint(tmp_path / "model")[1]["number"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_anything_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "thesis.txt").write_text("dear")
    with pytest.raises(CheckpointError, match=r"holds thesis.txt, .*another folder"):
        save_checkpoint(tmp_path / "results", STATE, {})
    assert (tmp_path / "results" / "thesis.txt").read_text() == "dear"
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_failed_save_keeps_the_previous_model(tmp_path):
    save_checkpoint(tmp_path / "model", STATE, {"number": 1})
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "model", STATE, {"number": object()})
    assert load_checkpoint(tmp_path / "model")[1]["number"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", [TENSORS, DESCRIPTION])
def test_a_missing_file_is_named(tmp_path, name):
    folder = save_checkpoint(tmp_path / "model", STATE, {})
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_checkpoint(folder)


def test_damaged_tensors_are_refused(tmp_path):
    folder = save_checkpoint(tmp_path / "model", STATE, {})
    content = bytearray((folder / TENSORS).read_bytes())
    content[-1] ^= 1
    (folder / TENSORS).write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_description_that_is_none_is_refused(tmp_path, text):
    folder = save_checkpoint(tmp_path / "model", STATE, {})
    (folder / DESCRIPTION).write_text(text)
    with pytest.raises(CheckpointError, match="no checkpoint description"):
        load_checkpoint(folder)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_is_refused_unopened(tmp_path):
    folder = save_checkpoint(tmp_path / "model", STATE, {})
    (folder / TENSORS).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)
    digest = hashlib.sha256((folder / TENSORS).read_bytes()).hexdigest()
    (folder / DESCRIPTION).write_text(json.dumps({"sha256": digest}))
    with pytest.raises(CheckpointError, match="no safetensors"):
        load_checkpoint(folder)
