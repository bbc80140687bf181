"""SICK relatedness: configurations by name, which pairs train and test, the siamese model, its training and scores."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import settings
from helpers.augment.new_pairs import candidate_pairs
from helpers.data.batching import NO_LABEL, EncodedSentences, SentenceBatch, make_loader, make_triplets
from helpers.data.corpora import ENTAILMENTS, load_sick, load_sts
from helpers.data.splits import Split, pretraining_pairs, repeats, stratified_split
from helpers.data.text import SentenceReader, Vocabulary
from helpers.data.vectors import VectorTable, vector_table
from helpers.files import digest, hash_of
from helpers.model import siamese, training
from helpers.model.metrics import (
    SIMILAR,
    Calibration,
    entailment_classifier,
    relatedness_metrics,
    scores,
    similar_accuracy,
    similar_threshold,
    to_relatedness,
    to_similarity,
)
from helpers.model.networks import RecurrentEncoder, TokenEmbedding, num_trainable_parameters
from helpers.model.recovery import recovery
from helpers.model.siamese import (
    entailment_loss,
    pairwise_ranking_loss,
    relatedness_kl_loss,
    similarity_mse_loss,
    triplet_ranking_loss,
)
from helpers.model.training import History, Loaders, Metrics, Step
from helpers.tasks.base import Result, TextModel, check_texts, loaded, named, read_saved, training_facts

REVISION = 1  # raise it when numbers change on purpose: the rows of the studies are then run again

BOTH = "glove-840b+googlenews"
HEADS = {  # loss -> how the two sentence vectors are compared
    "pairwise": "euclidean",  # as the assignment writes it, y in {0, 1}
    "graded_pairwise": "euclidean",  # the same formula, y = (r - 1) / 4
    "squared_pairwise": "euclidean",  # graded, distance and hinge squared
    "triplet": "euclidean",
    "manhattan": "manhattan",  # MaLSTM: mean squared error of exp(-||u - v||_1)
    "cosine": "cosine",  # mean squared error of the cosine
    "distribution": "distribution",  # KL divergence over the five scores
}


@dataclass(frozen=True)
class SickConfig:
    """One siamese network and how it is trained.

    Raises:
        ValueError: settings that contradict each other.
    """

    vectors: str = "glove-840b"  # or "googlenews", or both joined by "+"
    case: str = "fallback"  # how a word is looked up: "exact", "fallback", "lower"
    unknown: str = "zero"  # what a word without a vector gets: "zero", "random", "mean"
    freeze: bool = True  # word vectors stay as they are
    vectors_lr: float = 0.1  # of word vectors that are trained: this times lr
    projection: int = 0  # units of a linear map behind the word vectors, another number than theirs; 0 for none
    averaged: bool = False  # the recurrence reads the mean word vector instead of the words
    cell: str = "lstm"
    hidden_size: int = 100
    num_layers: int = 1
    bidirectional: bool = True
    forget_bias: float | None = None  # of a fresh LSTM; None as torch draws it
    packed: bool = False  # PackedSequence: the same numbers, slower, and the final cell too
    pooling: str = "max"
    skip: bool = False  # the mean word vector joins the pooled states
    normalize: bool = False  # sentence vectors of length 1
    loss: str = "distribution"
    margin: float = 1.0  # of the ranking losses
    similar_from: float = 3.5  # relatedness from which y = 1 in "pairwise"
    head_size: int = 50  # units of the layer behind |u - v| and u * v in "distribution"
    head_activation: str = "sigmoid"  # of that layer
    mse_weight: float = 0.0  # of the squared error of the similarity, added to the loss
    entailment_weight: float = 0.0  # of the cross-entropy of a second head, on the entailment label
    triplet_gap: float = 1.0  # relatedness between the better and the worse partner of an anchor
    triplet_unrelated: int = 1  # random sentences per related pair
    triplet_contradictions: bool = False
    word_dropout: float = 0.0  # share of words that lose their vector
    input_dropout: float = 0.0  # of the dimensions of all word vectors of a pair
    dropout: float = 0.0  # of the dimensions of both sentence vectors
    head_dropout: float = 0.0  # in the head of "distribution"
    lr: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 32
    epochs: int = 12
    anneal: bool = False  # one-cycle learning rate that ends at 0
    clip: float | None = 1.0
    ema: float | None = None  # decay of the averaged weights
    select: bool = True  # keep the epoch with the best Pearson on the held-out pairs; False: the last one
    patience: int | None = None  # epochs without a better one before stopping
    held_share: float = 0.1  # of the training side, held out for selection and calibration; on test it is the trial set
    train_on_held: bool = False  # train on the held-out pairs too, and calibrate nothing
    calibration: str = "linear"  # from similarity to 1..5, fitted on the held-out pairs: "none", "linear", "isotonic"
    pretrain: bool = False  # on STS pairs first
    pretrain_epochs: int = 4
    pretrain_lr: float = 1e-3
    pretrain_coverage: float = 0.9  # share of the words of an STS pair that must have a vector
    teachers: int = 0  # networks that rate new pairs of training sentences, which are trained on before SICK
    rated_epochs: int = 3
    rated_lr: float = 1.5e-3
    augment: str | None = None  # techniques of augmentation, joined by "+"; train() is passed who applies them

    def __post_init__(self):
        """Refuse what cannot be trained."""
        if self.loss not in HEADS:
            raise ValueError(f"loss {self.loss!r} is not one of {', '.join(HEADS)}")
        if self.train_on_held and (self.select or self.calibration != "none"):
            raise ValueError("train_on_held leaves nothing to select or calibrate on: select=False, calibration='none'")
        if self.loss == "triplet" and (self.select or self.ema or self.pretrain or self.mse_weight or self.teachers):
            raise ValueError(
                "triplets carry no scores: select=False, pretrain=False, mse_weight=0, ema=None, teachers=0"
            )
        if self.averaged and self.word_dropout:
            raise ValueError("word_dropout has no word to drop where the recurrence reads their mean")


DISTRIBUTION = SickConfig(
    case="lower", head_activation="tanh", dropout=0.1, input_dropout=0.2, lr=2e-3, epochs=8, anneal=True
)
_RANKING = replace(DISTRIBUTION, dropout=0.0, calibration="isotonic")
LOSSES = {
    "pairwise": replace(_RANKING, loss="pairwise", similar_from=4.0),
    "graded_pairwise": replace(_RANKING, loss="graded_pairwise"),
    "squared_pairwise": replace(_RANKING, loss="squared_pairwise"),
    "triplet": replace(_RANKING, loss="triplet", select=False),
    "malstm": replace(DISTRIBUTION, loss="manhattan", dropout=0.0),
    "cosine": replace(DISTRIBUTION, loss="cosine"),
    "distribution": DISTRIBUTION,
}
VARIANTS = {  # evaluated on test, beside the losses
    "averaged": replace(DISTRIBUTION, averaged=True, pooling="last"),
    "googlenews": replace(DISTRIBUTION, vectors="googlenews", case="fallback"),  # it knows "A", not "a"
    "both_vectors": replace(DISTRIBUTION, vectors=BOTH),
    "malstm_paper": replace(
        LOSSES["malstm"], vectors="googlenews", case="fallback", bidirectional=False, hidden_size=50, pooling="last",
        forget_bias=2.5, input_dropout=0.0,
    ),
}  # fmt: skip
ABLATIONS = {  # cross-validated alone
    "pairwise_last": replace(LOSSES["pairwise"], pooling="last"),
    "graded_pairwise_last": replace(LOSSES["graded_pairwise"], pooling="last"),
    "pairwise_from_3": replace(LOSSES["pairwise"], similar_from=3.0),
    "pairwise_from_3.5": replace(LOSSES["pairwise"], similar_from=3.5),
    "pairwise_from_4.5": replace(LOSSES["pairwise"], similar_from=4.5),
    "triplet_contradictions": replace(LOSSES["triplet"], triplet_contradictions=True),
}
BEST = replace(DISTRIBUTION, skip=True, entailment_weight=0.5, pretrain=True, pretrain_epochs=3, pretrain_lr=2e-3)
BEST_ALONE = replace(BEST, pretrain=False)  # SICK is all it is trained on
TAUGHT = replace(BEST, teachers=3)
RANKING = "triplet"  # of the assignment's two losses the one it is answered with
FINALISTS = ("best", "best_alone", RANKING)
ATTEMPTS = {  # what was tried on the way to BEST, one step away from it each
    "no_skip": replace(BEST, skip=False),
    "no_entailment": replace(BEST, entailment_weight=0.0),
    "with_word2vec": replace(BEST, vectors=BOTH),
    "last_state": replace(BEST, pooling="last"),
    "two_layers": replace(BEST, num_layers=2),
}
CONFIGS = LOSSES | VARIANTS | ABLATIONS | {"best": BEST, "best_alone": BEST_ALONE, "taught": TAUGHT} | ATTEMPTS
NAMES = {  # as tables and figures call them
    "pairwise": "ranking de pares, y = 1 desde 4",
    "graded_pairwise": "ranking de pares, y = (r − 1)/4",
    "squared_pairwise": "ranking de pares al cuadrado, y = (r − 1)/4",
    "triplet": "ranking de triples",
    "malstm": "MaLSTM: exp(−L1), error cuadrático",
    "cosine": "coseno, error cuadrático",
    "distribution": "distribución sobre las cinco notas",
    "graded_pairwise_last": "ranking de pares, y = (r − 1)/4, último estado",
    "averaged": "distribución, vector promedio como entrada",
    "googlenews": "distribución, word2vec GoogleNews",
    "both_vectors": "distribución, GloVe y word2vec",
    "pairwise_last": "ranking de pares, y = 1 desde 4, último estado",
    "pairwise_from_3": "ranking de pares, y = 1 desde 3",
    "pairwise_from_3.5": "ranking de pares, y = 1 desde 3.5",
    "pairwise_from_4.5": "ranking de pares, y = 1 desde 4.5",
    "triplet_contradictions": "ranking de triples, con contradicciones",
    "malstm_paper": "MaLSTM, arquitectura del artículo",
    "best": "nuestra mejor siamesa",
    "best_alone": "nuestra mejor siamesa, solo con SICK",
    "mean_cosine_glove": "coseno de vectores promedio (GloVe), sin entrenar",
    "mean_cosine_googlenews": "coseno de vectores promedio (word2vec), sin entrenar",
    "taught": "nuestra mejor, con pares que ella misma calificó",
    "no_skip": "… sin la media de los vectores junto a los estados",
    "no_entailment": "… sin la implicación",
    "with_word2vec": "… con word2vec junto a GloVe",
    "last_state": "… último estado en vez del máximo",
    "two_layers": "… dos capas BiLSTM",
}

FOLDS = 5
EVALUATIONS = ("trial", "test", *(f"cv{fold}" for fold in range(FOLDS)))
PARTITIONS = ("train", "trial", "test")
EVALUATION_BATCH = 256
REMEMBERED = 8  # pre-trainings that a process keeps: arms of one seed begin alike
Augment = Callable[..., pd.DataFrame]  # (training pairs, technique, *, seed, test: what must stay unseen) -> new pairs


def load(rows: int | None = None) -> pd.DataFrame:
    """SICK: pair_id, sentence_a, sentence_b, relatedness (1 to 5), entailment, partition (train, trial, test).

    Args:
        rows: take about so many pairs of each partition, stratified by relatedness; None takes all.
    """
    frame = load_sick()
    if rows is None:
        return frame
    kept = [_cut(frame, np.flatnonzero(frame["partition"] == name), rows) for name in PARTITIONS]
    return frame.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)


def split(frame: pd.DataFrame, evaluate_on: str = "test", *, held_share: float = 0.1, rows: int | None = None) -> Split:
    """Row numbers of the pairs that train, validate (select an epoch, calibrate) and test; the same ones every time.

    Args:
        frame: as load() returns it.
        evaluate_on: "test" (train on the train partition, validate on the trial one), "trial", or "cv0" to "cv4": a
            fold of train and trial together, stratified by relatedness; pairs that share a sentence may be on
            different sides, as they are in SICK's own partitions. But for "test" a share of the training side
            validates.
        held_share: that share.
        rows: cut each side to about so many pairs, stratified (profile quick).

    Raises:
        ValueError: another evaluation.
    """
    if evaluate_on not in EVALUATIONS:
        raise settings.WrongValue(f"evaluate_on={evaluate_on!r} is not one of {', '.join(EVALUATIONS)}")
    train, trial, test = (np.flatnonzero(frame["partition"] == name) for name in PARTITIONS)
    if evaluate_on == "test":
        return Split(*(_cut(frame, side, rows) for side in (train, trial, test)))
    rest, tested = train, trial
    if evaluate_on != "trial":
        from sklearn.model_selection import StratifiedKFold

        pool = np.concatenate([train, trial])
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=settings.SEED).split(pool, _levels(frame, pool))
        rest, tested = (pool[side] for side in list(folds)[int(evaluate_on[2:])])
    inner = stratified_split(_levels(frame, rest), seed=settings.SEED, test_size=held_share)
    return Split(*(_cut(frame, side, rows) for side in (rest[inner.train], rest[inner.test], tested)))


def _levels(frame: pd.DataFrame, rows: np.ndarray) -> pd.Series:
    """Five equally large levels of relatedness of these rows."""
    return pd.qcut(frame["relatedness"].iloc[rows].rank(method="first"), 5, labels=False)


def _cut(frame: pd.DataFrame, side: np.ndarray, rows: int | None) -> np.ndarray:
    if rows is None or rows >= len(side):
        return side
    return side[stratified_split(_levels(frame, side), seed=settings.SEED, test_size=rows).test]


def unseen(frame: pd.DataFrame, sides: Split, *, with_valid: bool = True) -> pd.DataFrame:
    """What no training may read: the test side, the validation side, and SICK's test partition whatever is evaluated.

    Args:
        frame: as load() returns it.
        sides: split(frame, ...).take(frame).
    """
    test = frame[frame["partition"] == "test"]
    return pd.concat([test, sides.test, *([sides.valid] if with_valid else [])], ignore_index=True)


def sts_pairs(frame: pd.DataFrame, sides: Split, rows: int | None = None) -> pd.DataFrame:
    """STS pairs to train on first, with no sentence of unseen(frame, sides).

    Args:
        frame, sides: as in unseen().
        rows: so many of them, seeded (profile quick).

    Returns:
        As pretraining_pairs().
    """
    found = pretraining_pairs(load_sts(), frame, held_out=unseen(frame, sides))
    if rows is None or rows >= len(found):
        return found
    return found.sample(rows, random_state=settings.SEED).reset_index(drop=True)


def covered(sts: pd.DataFrame, table: VectorTable, share: float) -> pd.DataFrame:
    """The pairs of which at least this share of the words has a vector: of the others an encoder reads mostly gaps.

    Raises:
        ValueError: none is left.
    """
    known = [np.mean(table.known_words(f"{a} {b}") or [False]) for a, b in zip(*sentences(sts), strict=True)]
    kept = sts[np.array(known) >= share].reset_index(drop=True)
    if kept.empty:
        raise ValueError(f"no STS pair has vectors for {share:.0%} of its words: lower pretrain_coverage")
    return kept


def words_of(config: SickConfig, sides: Split, seed: int, sts: pd.DataFrame | None = None) -> VectorTable:
    """The word vectors of a configuration; words of the test side are but looked up among pretrained ones.

    Args:
        sides: frames of pairs; validation and test may be None.
        seed: of the vectors of unknown words.
        sts: pairs that are trained on first.
    """
    trained = [sentence for frame in (sides.train, sides.valid, sts) for sentence in _both(frame)]
    return vector_table(
        config.vectors, trained, case=config.case, unknown=config.unknown, seed=seed, lookup=list(_both(sides.test))
    )


def sentences(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The first and the second sentences."""
    return frame["sentence_a"].tolist(), frame["sentence_b"].tolist()


def _both(frame: pd.DataFrame | None) -> Iterable[str]:
    return () if frame is None else (sentence for column in sentences(frame) for sentence in column)


class SimilarityModel(TextModel):
    """A siamese network with everything needed to read English sentences and to answer on the 1..5 scale.

    Args:
        config: of the network.
        vocabulary: words of the rows of `vectors`.
        vectors: (len(vocabulary), dim) initial word vectors.

    Example:
        >>> model = SimilarityModel.load("artifacts/sick-best")
        >>> model.similarity("A dog is running", "A puppy runs")
        4.2
    """

    task, batch_size = "sick", EVALUATION_BATCH

    def __init__(self, config: SickConfig, vocabulary: Vocabulary, vectors: np.ndarray):
        self.config, self.reader = config, SentenceReader(vocabulary, config.case)
        self.network = build_network(config, vectors)
        self.calibration = Calibration.fit([], [], "none")
        self.threshold = SIMILAR  # relatedness, after calibration, from which a pair counts as similar

    def dataset(
        self, first: Sequence[str], second: Sequence[str] | None = None, *, targets=None, labels=None
    ) -> EncodedSentences:
        """Raw sentences, or pairs of them, as ids; targets (similarity 0 to 1) and labels as in EncodedSentences."""
        columns = [first] if second is None else [first, second]
        for column in columns:
            if isinstance(column, str):
                check_texts(column, "sentence")
        return EncodedSentences(columns, self.reader, targets=targets, labels=labels)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 sentence vectors; any string will do, also an empty or a very long one.

        Raises:
            TypeError: an element is not a string (names its position), or `texts` is one string.
        """
        data = self.dataset(texts)
        if len(data) == 0:
            return np.zeros((0, self.network.encoder.output_size), dtype=np.float32)
        return self.outputs(data, lambda network, batch: network.vectors(batch)[0]).numpy()

    def raw_similarity(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """(n,) similarity before calibration: 1 the same, about 0 unrelated."""
        data = self.dataset(first, second)
        if len(data) == 0:
            return np.zeros(0)
        return self.outputs(data, lambda network, batch: network.similarity(network(batch))).double().numpy()

    def entailment(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """(n, 3) probabilities of ENTAILMENTS.

        Raises:
            ValueError: the network has no second head (entailment_weight 0).
        """
        if self.network.entailment is None:
            raise ValueError("this network was trained without entailment: entailment_weight is 0")

        def logits(network: siamese.SiameseNetwork, batch: SentenceBatch) -> Tensor:
            return network.entailment(siamese.symmetric_features(*network.vectors(batch)))

        return self.outputs(self.dataset(first, second), logits).softmax(-1).numpy()

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

    def calibrate(self, pairs: pd.DataFrame) -> None:
        """Fit the way from similarity to 1..5, and the threshold of `similar`, on pairs held out of training."""
        similarity = self.raw_similarity(*sentences(pairs))
        self.calibration = Calibration.fit(similarity, pairs["relatedness"], self.config.calibration)
        self.threshold = similar_threshold(pairs["relatedness"], self.calibration(similarity))

    def description(self) -> dict:
        """Calibration, threshold and words."""
        tokens = self.reader.vocabulary.tokens[2:]
        return {"calibration": asdict(self.calibration), "threshold": self.threshold, "tokens": tokens}

    @classmethod
    def load(cls, folder: str | Path) -> "SimilarityModel":
        """Read what save() wrote, onto the device that DEVICE names.

        Raises:
            CheckpointError: missing, damaged, of another task, or of a version that this code does not know.
        """
        tensors, description, config = read_saved(folder, cls.task, SickConfig)
        # only the size of the word vectors matters here: their values come with the tensors
        vectors = np.zeros(tensors["encoder.embedding.words.weight"].shape, dtype=np.float32)
        model = loaded(cls(config, Vocabulary(description["tokens"]), vectors), tensors)
        model.calibration = Calibration(**{name: tuple(row) for name, row in description["calibration"].items()})
        model.threshold = description["threshold"]
        return model


def build_network(config: SickConfig, vectors: np.ndarray) -> siamese.SiameseNetwork:
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
    classes = len(ENTAILMENTS) if c.entailment_weight else 0
    return siamese.SiameseNetwork(encoder, _head(c, encoder.output_size), classes=classes)


def _head(config: SickConfig, size: int) -> torch.nn.Module:
    kind = HEADS[config.loss]
    if kind == "euclidean":
        return siamese.EuclideanHead(config.margin)
    if kind == "distribution":
        return siamese.DistributionHead(
            size, config.head_size, activation=config.head_activation, dropout=config.head_dropout
        )
    return {"manhattan": siamese.ManhattanHead, "cosine": siamese.CosineHead}[kind]()


def make_step(config: SickConfig) -> Step:
    """Loss and outputs of a batch: of pairs the head's output for each, of triplets its two distances, (B, 2)."""

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


def _pair_loss(config: SickConfig, outputs: Tensor, y: Tensor) -> Tensor:
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


def fit(
    config: SickConfig, train: pd.DataFrame, valid: pd.DataFrame | None, *, seed: int, test: pd.DataFrame | None = None,
    sts: pd.DataFrame | None = None, hidden: pd.DataFrame | None = None, on_epoch=None, verbose=False,
    trainer=training.fit,
) -> tuple[SimilarityModel, History]:  # fmt: skip
    """Train on these pairs, on STS pairs first if there are any, then calibrate.

    With config.teachers the network is trained several times over from the same start; the mean of what these teachers
    predict for unrated pairs of training sentences is what it learns next, and SICK comes last (Thakur et al. 2021,
    arXiv:2010.08240, with networks of the same kind as teachers).

    A training that was interrupted goes on where it stood.

    Args:
        train, valid: sentence_a, sentence_b, relatedness, entailment; valid selects the epoch and calibrates, None for
            neither.
        seed: of words without a vector, initial weights, triplets, new pairs, batches and dropout.
        test: pairs whose words are looked up among the pretrained vectors, nothing else.
        sts: as sts_pairs() returns them; for config.pretrain.
        hidden: as unseen() returns it; for config.teachers, which must not rate those pairs.
        on_epoch, verbose: as in training.fit, of the training on SICK.
        trainer: called as training.fit is (distributed.fit_on, for several processes), for every stage.

    Raises:
        ValueError: sts or hidden is needed and not passed.
    """
    sides = Split(train, valid, test)
    fitted = _fit_stages(config, sides, sts, hidden, seed=seed, on_epoch=on_epoch, verbose=verbose, trainer=trainer)
    return fitted.model, fitted.history


class _Fitted(NamedTuple):
    """A trained model, the course of its training and of its pre-training, and the pairs that its teachers rated."""

    model: SimilarityModel
    history: History
    pretraining: History | None
    rated: pd.DataFrame | None


def _fit_stages(
    config: SickConfig, sides: Split, sts: pd.DataFrame | None, hidden: pd.DataFrame | None, *, seed: int,
    on_epoch=None, verbose=False, trainer=training.fit,
) -> _Fitted:  # fmt: skip
    for needed, passed, name in ((config.pretrain, sts, "sts"), (config.teachers, hidden, "hidden")):
        if needed and passed is None:
            raise ValueError(f"this configuration cannot be trained without {name}: pass it, as fit() says")
    settings.seed_everything(seed)
    table = words_of(config, sides, seed, sts)
    model = SimilarityModel(config, table.reader.vocabulary, table.matrix).to(settings.device())
    pretraining = None
    if sts is not None:
        kept = covered(sts, table, config.pretrain_coverage)
        data = model.dataset(*sentences(kept), targets=kept["similarity"])
        pretraining = _pretrained(config, model, data, seed=seed, verbose=verbose, trainer=trainer)
    run = partial(_fit_stage, config, model, generator=settings.seed_everything(seed), verbose=verbose, trainer=trainer)
    data = training_set(config, sides.train, model, seed)
    train = partial(run, data, sides.valid, epochs=config.epochs, lr=config.lr)
    rated = None
    if config.teachers:
        new = candidate_pairs(sides.train, table.mean_vectors, seed=seed, test=hidden)
        rated = _rated_by_teachers(config, model, new, train)
        run(_encoded_pairs(rated, model), None, epochs=config.rated_epochs, lr=config.rated_lr, stage="rated")
    history = train(on_epoch=on_epoch)
    if sides.valid is not None:
        model.calibrate(sides.valid)
    return _Fitted(model, history, pretraining, rated)


_pretrainings: dict[str, tuple[dict[str, Tensor], History]] = {}


def _pretrained(config: SickConfig, model: SimilarityModel, data: EncodedSentences, *, seed: int, **options) -> History:
    """Train on STS pairs, or take what a training that began alike has left in this process."""
    begins = replace(config, augment=None, teachers=0)
    key = hash_of(asdict(begins) | {"seed": seed, "read": _read(model, data, None)})
    if key not in _pretrainings:
        history = _fit_stage(
            begins, model, data, None, epochs=config.pretrain_epochs, lr=config.pretrain_lr,
            generator=settings.seed_everything(seed), stage="sts", **options,
        )  # fmt: skip
        while len(_pretrainings) >= REMEMBERED:
            del _pretrainings[next(iter(_pretrainings))]
        _pretrainings[key] = _trained(model), history
    weights, history = _pretrainings[key]
    model.network.load_state_dict(weights, strict=False)
    return history


def _rated_by_teachers(
    config: SickConfig, model: SimilarityModel, new: pd.DataFrame, train: Callable[..., History]
) -> pd.DataFrame:
    """The new pairs with the mean of what the teachers predict for them; the network is left as it was."""
    start, similarity, entailment = _trained(model), [], []
    for number in range(config.teachers):
        model.network.load_state_dict(start, strict=False)
        train(stage=f"teacher {number + 1}")
        similarity.append(model.raw_similarity(*sentences(new)))
        if config.entailment_weight:
            entailment.append(model.entailment(*sentences(new)))
    model.network.load_state_dict(start, strict=False)
    labels = [ENTAILMENTS[row] for row in np.mean(entailment, axis=0).argmax(1)] if entailment else ""
    return new.assign(relatedness=to_relatedness(np.mean(similarity, axis=0).clip(0, 1)), entailment=labels)


def _trained(model: SimilarityModel) -> dict[str, Tensor]:
    """Copies of the tensors that training moves."""
    return {name: p.detach().clone() for name, p in model.network.named_parameters() if p.requires_grad}


def training_set(config: SickConfig, pairs: pd.DataFrame, model: SimilarityModel, seed: int) -> EncodedSentences:
    """What the loss reads: the pairs, or triplets made of them."""
    if config.loss != "triplet":
        return _encoded_pairs(pairs, model)
    triplets = make_triplets(
        pairs, seed=seed, gap=config.triplet_gap, unrelated=config.triplet_unrelated,
        contradictions=config.triplet_contradictions,
    )  # fmt: skip
    return EncodedSentences([triplets[name].tolist() for name in ("anchor", "positive", "negative")], model.reader)


def _encoded_pairs(pairs: pd.DataFrame, model: SimilarityModel) -> EncodedSentences:
    labels = [ENTAILMENTS.index(label) if label in ENTAILMENTS else NO_LABEL for label in pairs["entailment"]]
    return model.dataset(*sentences(pairs), targets=to_similarity(pairs["relatedness"]), labels=labels)


def _fit_stage(
    config: SickConfig, model: SimilarityModel, data: EncodedSentences, valid: pd.DataFrame | None, *, epochs: int,
    lr: float, generator: torch.Generator, on_epoch=None, verbose=False, stage="sick", trainer=training.fit,
) -> History:  # fmt: skip
    """One training: on STS pairs, of a teacher, on rated pairs, or on SICK."""
    network, loader = model.to(settings.device()).network, make_loader(data, config.batch_size, generator=generator)
    watched = None
    if valid is not None:
        watched = make_loader(training_set(config, valid, model, settings.SEED), EVALUATION_BATCH)
    optimizers, schedulers = make_optimizers(config, network, lr, epochs * len(loader))

    def note(row: dict) -> None:
        triplets = config.loss == "triplet" and valid is not None  # they carry no scores: the validation pairs do
        if triplets and "valid_pearson" not in row:  # a row of before an interruption holds what its network predicted
            found = to_relatedness(model.raw_similarity(*sentences(valid)))
            row |= {f"valid_{name}": value for name, value in scores(valid["relatedness"], found).items()}
        if on_epoch is not None:
            on_epoch(row)

    identity = {"config": asdict(config), "epochs": epochs, "lr": lr, "read": _read(model, data, valid)}
    with recovery("sick", **identity, stage=stage) as kept:
        return trainer(
            network, Loaders(loader, watched), make_step(config), optimizers=optimizers, schedulers=schedulers,
            epochs=epochs, metrics=make_metrics(network), watch="valid_pearson" if config.select else "epoch",
            higher_is_better=True, patience=config.patience, clip=config.clip, ema=config.ema, on_epoch=note,
            verbose=verbose, recovery=kept,
        )  # fmt: skip


def make_optimizers(config: SickConfig, network: torch.nn.Module, lr: float, steps: int) -> tuple[list, list]:
    """AdamW, and the one-cycle schedule where the configuration anneals.

    Trained word vectors move slower than the rest, and never decay towards nothing.
    """
    words = network.encoder.embedding.words.weight
    groups = [{"params": [p for p in network.parameters() if p.requires_grad and p is not words], "lr": lr}]
    if words.requires_grad:
        groups.append({"params": [words], "lr": lr * config.vectors_lr, "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    if not config.anneal:
        return [optimizer], []
    peaks = [group["lr"] for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=max(steps, 20), pct_start=0.1)
    return [optimizer], [schedule]


def _read(model: SimilarityModel, data: EncodedSentences, valid: pd.DataFrame | None) -> str:
    """Digest of all that a training reads, and of the weights that it begins with (which differ with the seed)."""
    weights = [tensor.cpu().numpy() for tensor in model.network.state_dict().values()]
    watched = [] if valid is None else [*sentences(valid), valid["relatedness"].to_numpy()]
    return digest(list(data.distinct), data.index, data.targets.numpy(), data.labels.numpy(), *watched, *weights)


def train(
    config: SickConfig | str, *, evaluate_on: str, model_seed: int | None = None, epochs: int | None = None,
    rows: int | None = None, augment: Augment | None = None, **options,
) -> Result:  # fmt: skip
    """Train a configuration and score it.

    Args:
        config: a SickConfig, or the name of one in CONFIGS.
        evaluate_on: as in split(). Configurations are chosen on "cv0" to "cv4"; "test" is for the chosen ones.
        model_seed: of everything random in training; None: 0.
        epochs: instead of the configuration's (and at most as many of what comes before).
        rows: use a stratified subset of so many pairs of each side, and as many STS pairs.
        augment: makes new training pairs by the techniques that config.augment names.
        options: on_epoch, verbose and trainer, as in fit.

    Returns:
        Metrics: pearson, spearman, mse, accuracy (similar or not), pearson_raw and mse_raw (before calibration), each
        again with the ending _without_repeats, on the pairs that training did not hold; entailment_accuracy;
        parameters, train_pairs, best_epoch, epochs, train_seconds. In test similarity, prediction (1 to 5),
        entailment_prediction, repeated and both_seen (in training).

    Raises:
        ValueError: unknown name or evaluation; an augmentation named but not passed, or passed but not named.

    Example:
        >>> result = train("best_alone", evaluate_on="cv0", model_seed=1)
        >>> result.metrics["pearson"], result.model.save("artifacts/sick")
    """
    config, seed = named(config, CONFIGS), settings.SEED if model_seed is None else model_seed
    if epochs is not None:
        before = {name: min(epochs, getattr(config, name)) for name in ("pretrain_epochs", "rated_epochs")}
        config = replace(config, epochs=epochs, **before)
    frame = load()
    sides = split(frame, evaluate_on, held_share=config.held_share, rows=rows).take(frame)
    start = time.perf_counter()
    pairs = pd.concat([sides.train, sides.valid], ignore_index=True) if config.train_on_held else sides.train
    enlarged = _enlarged(config, pairs, unseen(frame, sides, with_valid=not config.train_on_held), augment, seed)
    read = Split(enlarged, None if config.train_on_held else sides.valid, sides.test)
    sts = sts_pairs(frame, sides, rows) if config.pretrain else None
    model, history, pretraining, rated = _fit_stages(config, read, sts, unseen(frame, sides), seed=seed, **options)
    seconds = time.perf_counter() - start
    metrics, test = _evaluate(model.raw_similarity, model.encode, model.calibration, model.threshold, sides.test, pairs)
    metrics |= {"train_pairs": len(enlarged)} | training_facts(num_trainable_parameters(model.network), history)
    return Result(metrics | {"train_seconds": seconds}, model, history, test, pretraining, rated)


def _enlarged(
    config: SickConfig, pairs: pd.DataFrame, hidden: pd.DataFrame, augment: Augment | None, seed: int
) -> pd.DataFrame:
    if (config.augment is None) != (augment is None):
        raise ValueError(
            f"config.augment is {config.augment!r}: name the techniques there, and pass augment to train()"
        )
    if augment is None:
        return pairs
    new = [augment(pairs, technique, seed=seed, test=hidden) for technique in config.augment.split("+")]
    return pd.concat([pairs, *new], ignore_index=True)


def mean_cosine(
    vectors: str = "googlenews", *, evaluate_on: str, case: str = "fallback", calibration: str = "isotonic", rows=None
) -> tuple[dict[str, float], pd.DataFrame]:
    """The baseline without training: the cosine of the two mean word vectors, calibrated on the validation pairs.

    Args:
        vectors, case: as in SickConfig.
        evaluate_on, rows: as in train().

    Returns:
        The metrics of a Result that a network without parameters has, and the test pairs as in Result.test.
    """
    frame = load()
    sides = split(frame, evaluate_on, rows=rows).take(frame)
    table = words_of(replace(SickConfig(), vectors=vectors, case=case), sides, settings.SEED)

    def similarity(first: list[str], second: list[str]) -> np.ndarray:
        means = (torch.from_numpy(table.mean_vectors(side)) for side in (first, second))
        return siamese.CosineHead()(*means).double().numpy()

    raw, truth = similarity(*sentences(sides.valid)), sides.valid["relatedness"]
    fitted = Calibration.fit(raw, truth, calibration)
    threshold = similar_threshold(truth, fitted(raw))
    return _evaluate(similarity, table.mean_vectors, fitted, threshold, sides.test, sides.train)


def _evaluate(
    similarity, encode, calibration: Calibration, threshold: float, test: pd.DataFrame, pairs: pd.DataFrame
) -> tuple[dict[str, float], pd.DataFrame]:
    """Metrics with and without the pairs that training held, and the test pairs with what is predicted for them.

    Args:
        similarity: (first, second) sentences -> (n,) before calibration.
        encode: sentences -> (n, d); a classifier on the vectors of the training pairs predicts entailment.
        pairs: those of training.
    """
    seen, raw = repeats(test, pairs), similarity(*sentences(test))
    features = [siamese.symmetric_features(*map(encode, sentences(frame))) for frame in (pairs, test)]
    entailment = entailment_classifier().fit(features[0], pairs["entailment"]).predict(features[1])
    scored = test.assign(
        similarity=raw, prediction=calibration(raw), entailment_prediction=entailment, repeated=seen.pair,
        both_seen=seen.both,
    )  # fmt: skip
    scored.attrs = dict(test.attrs)
    metrics = {"entailment_accuracy": float((scored["entailment"] == scored["entailment_prediction"]).mean())}
    for ending, part in (("", scored), ("_without_repeats", scored[~seen.pair])):
        before = relatedness_metrics(part["relatedness"], to_relatedness(part["similarity"]))
        found = scores(part["relatedness"], part["prediction"], threshold)
        # ranks are taken before calibration, which keeps their order and can only tie them
        found |= {"spearman": before["spearman"], "pearson_raw": before["pearson"], "mse_raw": before["mse"]}
        metrics |= {name + ending: value for name, value in found.items()}
    return metrics, scored
