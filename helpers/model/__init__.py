"""From batches to a trained model."""

from helpers.model.baselines import PEERS, char_svm, word_svm
from helpers.model.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from helpers.model.metrics import best_threshold, binary_metrics, multiclass_metrics, paired_difference
from helpers.model.networks import (
    Encoded,
    Pooling,
    RecurrentEncoder,
    TextClassifier,
    TokenEmbedding,
    num_recurrent_parameters,
    num_trainable_parameters,
)
from helpers.model.training import History, Loaders, classification_step, evaluate, fit, train_epoch

__all__ = [
    "PEERS",
    "CheckpointError",
    "Encoded",
    "History",
    "Loaders",
    "Pooling",
    "RecurrentEncoder",
    "TextClassifier",
    "TokenEmbedding",
    "best_threshold",
    "binary_metrics",
    "char_svm",
    "classification_step",
    "evaluate",
    "fit",
    "load_checkpoint",
    "multiclass_metrics",
    "num_recurrent_parameters",
    "num_trainable_parameters",
    "paired_difference",
    "save_checkpoint",
    "train_epoch",
    "word_svm",
]
