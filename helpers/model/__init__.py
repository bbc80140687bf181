"""From batches to a trained model. A name is imported when it is first asked for, not before."""

from importlib import import_module

_HOME = {
    "baselines": ("MELI_BASELINES", "SMS_BASELINES"),
    "checkpoints": ("CheckpointError", "load_checkpoint", "save_checkpoint"),
    "metrics": ("best_threshold", "binary_metrics", "multiclass_metrics", "paired_difference"),
    "networks": (
        "MLPClassifier", "Pooling", "RecurrentEncoder", "TextClassifier", "TokenEmbedding", "device_of",
        "num_recurrent_parameters", "num_trainable_parameters",
    ),
    "siamese": ("SiameseEncoder", "SiameseNetwork"),
    "training": ("History", "Loaders", "classification_step", "evaluate", "fit", "train_epoch"),
}  # fmt: skip
__all__ = sorted(name for names in _HOME.values() for name in names)


def __getattr__(name: str):
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"helpers.model.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
