"""The siamese network of a configuration, what it is trained on, and a model that can be saved, loaded and asked."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers.data.batching import make_loader
from helpers.data.sentence_batches import EncodedPairs, EncodedSentences, SentenceBatch, SentenceReader
from helpers.data.text import Vocabulary
from helpers.model import siamese
from helpers.model.checkpoints import load_checkpoint, save_checkpoint
from helpers.model.losses import (
    entailment_loss,
    pairwise_ranking_loss,
    relatedness_kl_loss,
    similarity_mse_loss,
    triplet_ranking_loss,
)
from helpers.model.networks import RecurrentEncoder, TokenEmbedding
from helpers.model.relatedness import (
    SIMILAR,
    Calibration,
    relatedness_metrics,
    similar_accuracy,
    similar_threshold,
    to_relatedness,
    to_similarity,
)
from helpers.model.training import Metrics, Step, evaluate
from helpers.tasks.sick_config import HEADS, Config

CLASSES = ("NEUTRAL", "ENTAILMENT", "CONTRADICTION")
EVALUATION_BATCH = 256


def build_network(config: Config, vectors: np.ndarray) -> siamese.SiameseNetwork:
    """The network of a configuration, freshly initialised.

    Args:
        vectors: (vocabulary, dim) word vectors, row 0 padding.
    """
    c = config
    embedding = TokenEmbedding(
        len(vectors), c.projection or vectors.shape[1], vectors=vectors, freeze=c.freeze, word_dropout=c.word_dropout
    )
    recurrence = RecurrentEncoder(
        embedding.dim, c.hidden_size, cell=c.cell, num_layers=c.num_layers, bidirectional=c.bidirectional,
        packed=c.packed,
    )  # fmt: skip
    if c.forget_bias is not None:
        siamese.set_forget_bias(recurrence, c.forget_bias)
    encoder = siamese.SiameseEncoder(
        embedding, recurrence, pooling=c.pooling, input_dropout=c.input_dropout, dropout=c.dropout,
        averaged=c.averaged, skip=c.skip, normalize=c.normalize,
    )  # fmt: skip
    classes = len(CLASSES) if c.entailment_weight else 0
    return siamese.SiameseNetwork(encoder, _head(c, encoder.output_size), classes=classes)


def _head(config: Config, size: int) -> torch.nn.Module:
    kind = HEADS[config.loss]
    if kind == "euclidean":
        return siamese.EuclideanHead(config.margin)
    if kind == "distribution":
        return siamese.DistributionHead(
            size, config.head_size, activation=config.head_activation, dropout=config.head_dropout
        )
    return {"manhattan": siamese.ManhattanHead, "cosine": siamese.CosineHead}[kind]()


def make_step(config: Config) -> Step:
    """Loss and outputs of a batch: of pairs what the head says of each, of triplets its two distances, (B, 2)."""

    def step(network: siamese.SiameseNetwork, batch: SentenceBatch) -> tuple[Tensor, Tensor]:
        if batch.parts == 3:
            anchor, positive, negative = network.vectors(batch)
            loss = triplet_ranking_loss(anchor, positive, negative, config.margin)
            return loss, torch.stack([network.head(anchor, positive), network.head(anchor, negative)], -1)
        first, second = network.vectors(batch)
        outputs = network.head(first, second)
        loss = _pair_loss(config, outputs, batch.targets)
        if config.mse_weight:
            loss = loss + config.mse_weight * similarity_mse_loss(network.similarity(outputs), batch.targets)
        if config.entailment_weight:
            logits = network.entailment(siamese.symmetric_features(first, second))
            loss = loss + config.entailment_weight * entailment_loss(logits, batch.labels)
        return loss, outputs

    return step


def _pair_loss(config: Config, outputs: Tensor, y: Tensor) -> Tensor:
    if config.loss == "distribution":
        return relatedness_kl_loss(outputs, to_relatedness(y))
    if config.loss in ("manhattan", "cosine"):
        return similarity_mse_loss(outputs, y)
    if config.loss == "pairwise":
        y = (y >= to_similarity(config.similar_from) - 1e-6).float()  # y went through float32
    return pairwise_ranking_loss(outputs, y, config.margin, power=2 if config.loss == "squared_pairwise" else 1)


def make_metrics(network: siamese.SiameseNetwork) -> Metrics:
    """Per epoch: of pairs the correlations, the error before calibration, and the accuracy at the best cut; of triplets
    the share whose positive is nearer than its negative."""

    def metrics(targets: Tensor, outputs: Tensor) -> dict[str, float]:
        if outputs.dim() == 2 and isinstance(network.head, siamese.EuclideanHead):
            return {"ordered": float((outputs[:, 0] < outputs[:, 1]).float().mean())}
        relatedness = to_relatedness(targets.double().numpy())
        predictions = to_relatedness(network.similarity(outputs).double().numpy())
        accuracy = similar_accuracy(relatedness, predictions, similar_threshold(relatedness, predictions))
        return relatedness_metrics(relatedness, predictions) | {"accuracy": accuracy}

    return metrics


class SimilarityModel:
    """A network with everything needed to read English sentences and to answer on the 1..5 scale.

    Args:
        config: of the network.
        vocabulary: words of the rows of `vectors`.
        vectors: (len(vocabulary), dim) initial word vectors.
    """

    def __init__(self, config: Config, vocabulary: Vocabulary, vectors: np.ndarray):
        self.config, self.reader = config, SentenceReader(vocabulary, config.case)
        self.network = build_network(config, vectors)
        self.calibration = Calibration.fit([], [], "none")
        self.threshold = SIMILAR  # relatedness, after calibration, from which a pair counts as similar

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        """(n, d) float32 sentence vectors; any string will do, also an empty or a very long one.

        Raises:
            TypeError: an element is not a string (names its position), or `sentences` is one string.
        """
        _check_list(sentences)
        if len(sentences) == 0:
            return np.zeros((0, self.network.encoder.output_size), dtype=np.float32)
        rows = EncodedSentences([sentences], self.reader)
        return _outputs(rows, self.network, lambda network, batch: network.vectors(batch)[0]).numpy()

    def raw_similarity(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """(n,) similarity before calibration: 1 the same, about 0 unrelated."""
        _check_list(first)
        _check_list(second)
        rows = EncodedPairs(first, second, self.reader)
        if len(rows) == 0:
            return np.zeros(0)
        found = _outputs(rows, self.network, lambda network, batch: network.similarity(network(batch)))
        return found.double().numpy()

    def entailment(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """(n, 3) probabilities of CLASSES.

        Raises:
            ValueError: the network has no second head (entailment_weight 0).
        """
        if self.network.entailment is None:
            raise ValueError("this network was trained without entailment: entailment_weight is 0")
        rows = EncodedPairs(first, second, self.reader)

        def logits(network, batch):
            return network.entailment(siamese.symmetric_features(*network.vectors(batch)))

        return _outputs(rows, self.network, logits).softmax(-1).numpy()

    def similarity(self, first, second):
        """Relatedness from 1 to 5 of two sentences (a float), or of two lists of them ((n,) array).

        Raises:
            TypeError: something that is no string.
            ValueError: lists of unequal length.
        """
        if isinstance(first, str) and isinstance(second, str):
            return float(self.similarity([first], [second])[0])
        return self.calibration(self.raw_similarity(first, second))

    def similar(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """(n,) whether the two sentences say about the same."""
        return self.similarity(first, second) >= self.threshold

    def save(self, folder: Path) -> Path:
        """Tensors and JSON in a folder."""
        description = {"task": "sick", "config": asdict(self.config), "calibration": asdict(self.calibration)}
        description |= {"threshold": self.threshold, "tokens": self.reader.vocabulary.tokens[2:]}
        return save_checkpoint(folder, self.network.state_dict(), description)

    @classmethod
    def load(cls, folder: Path) -> "SimilarityModel":
        """Read what save() wrote.

        Raises:
            CheckpointError: missing, damaged, or the model of another task.
        """
        tensors, description = load_checkpoint(folder, "sick")
        # only the size of the word vectors matters here: their values come with the tensors
        vectors = np.zeros(tensors["encoder.embedding.words.weight"].shape, dtype=np.float32)
        model = cls(Config(**description["config"]), Vocabulary(description["tokens"]), vectors)
        model.network.load_state_dict(tensors)
        model.calibration = Calibration(**{name: tuple(row) for name, row in description["calibration"].items()})
        model.threshold = description["threshold"]
        return model


def _check_list(sentences: Sequence[str]) -> None:
    if isinstance(sentences, str):
        raise TypeError("one string where a list of sentences is needed: put it into brackets")


def _outputs(rows: EncodedSentences, network: siamese.SiameseNetwork, answer) -> Tensor:
    """(len(rows), ...) what `answer` says of every batch, in the order of the rows."""
    nothing = torch.zeros(())
    loader = make_loader(rows, EVALUATION_BATCH)
    return evaluate(network, loader, lambda model, batch: (nothing, answer(model, batch))).outputs
