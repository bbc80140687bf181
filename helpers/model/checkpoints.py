"""A trained model on disk: tensors (safetensors) and JSON, written whole or not at all, verified when read."""

import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

TENSORS, DESCRIPTION = "model.safetensors", "model.json"
SAMPLE_MARK = "SYNTHETIC"  # a file of this name lies beside a model that synthetic data made


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, damaged or not ours."""


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], description: dict) -> Path:
    """Write tensors and description beside `folder`, and rename them into its place when both are whole.

    Args:
        tensors: state_dict of the model.
        description: anything JSON holds; what is needed to build the model again.

    Raises:
        CheckpointError: the folder holds something that is no checkpoint, or it cannot be written (the disk is full);
            nothing in it is touched.
    """
    folder = Path(folder)
    if strangers := [path.name for path in folder.glob("*") if path.name not in (TENSORS, DESCRIPTION)]:
        raise CheckpointError(f"{folder} holds {strangers[0]}, which is no part of a model: choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / TENSORS)
        content = {"sha256": _sha256(temporary / TENSORS), **description}
        (temporary / DESCRIPTION).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf8")
        if folder.exists():
            discarded = folder.with_name(f"{temporary.name}.old")
            os.replace(folder, discarded)
            os.replace(temporary, folder)
            shutil.rmtree(discarded)
        else:
            os.replace(temporary, folder)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder} cannot be written ({error}): make room, or choose another folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def load_checkpoint(folder: Path, task: str | None = None) -> tuple[dict[str, Tensor], dict]:
    """Read (tensors, description) back.

    Args:
        task: what the description must name as its task.

    Raises:
        CheckpointError: a file is missing, the tensors are not those described, a file is no checkpoint of ours (a
            pickle, say), or the model is one of another task: names the file and what to do.
    """
    folder = Path(folder)
    for name in (TENSORS, DESCRIPTION):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"{folder / name} is missing: give the folder that `train --save` wrote (of several seeds, one of "
                "FOLDER/split-N), or train the model again"
            )
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf8"))
        if not isinstance(description, dict) or "sha256" not in description:
            raise ValueError("no field sha256")
    except ValueError as error:
        raise CheckpointError(
            f"{folder / DESCRIPTION} is no checkpoint description ({error}): train the model again"
        ) from error
    if task is not None and description.get("task") != task:
        raise CheckpointError(f"{folder} holds no {task} model (task {description.get('task')!r}): train one")
    if _sha256(folder / TENSORS) != description["sha256"]:
        raise CheckpointError(f"{folder / TENSORS} is damaged or belongs to another model: train the model again")
    try:
        return load_file(folder / TENSORS), description
    except SafetensorError as error:
        raise CheckpointError(f"{folder / TENSORS} holds no safetensors ({error}): train the model again") from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
