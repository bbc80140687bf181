"""A trained model on disk: tensors (safetensors) and JSON, written whole or not at all, verified when read."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from helpers import settings
from helpers.files import replacing, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

TENSORS, DESCRIPTION = "model.safetensors", "model.json"
SAMPLE_MARK = "SYNTHETIC"  # a file of this name in the folder of a model trained on synthetic data


class CheckpointError(settings.UserError, RuntimeError):
    """A checkpoint that is missing, damaged or not ours."""


def save_checkpoint(folder: str | Path, tensors: "dict[str, Tensor]", description: dict) -> Path:
    """Write tensors and description into a temporary folder, and rename it to `folder` when both are complete.

    Args:
        tensors: state_dict of the model, on any device.
        description: anything JSON holds; what is needed to build the model again.

    Raises:
        CheckpointError: the folder holds something that is no checkpoint, or it cannot be written (the disk is full);
            nothing in it is touched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = Path(folder)
    if strangers := [path.name for path in folder.glob("*") if path.name not in (TENSORS, DESCRIPTION, SAMPLE_MARK)]:
        raise CheckpointError(f"{folder} holds {strangers[0]}, which is no part of a model: choose another folder")
    try:
        with replacing(folder) as part:
            part.mkdir()
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, part / TENSORS)
            content = {"sha256": sha256_of(part / TENSORS), **description}
            (part / DESCRIPTION).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf8")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder} cannot be written ({error}): make room, or choose another folder") from error
    return folder


def load_checkpoint(folder: str | Path, task: str | None = None) -> "tuple[dict[str, Tensor], dict]":
    """Read (tensors, description) back; the tensors are on the CPU, wherever the model was trained.

    Args:
        task: what the description must name as its task.

    Raises:
        CheckpointError: a file is missing, the tensors are not those described, a file is no checkpoint of ours (a
            pickle, say), or the model is one of another task: names the file and what to do.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

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
    if sha256_of(folder / TENSORS) != description["sha256"]:
        raise CheckpointError(f"{folder / TENSORS} is damaged or belongs to another model: train the model again")
    try:
        return load_file(folder / TENSORS, device="cpu"), description
    except SafetensorError as error:
        raise CheckpointError(f"{folder / TENSORS} holds no safetensors ({error}): train the model again") from error
