"""The configurations of the SICK models, by name."""

from dataclasses import dataclass, replace

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
class Config:
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


DISTRIBUTION = Config(
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
VARIANTS = {  # told on test, beside the losses
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
CONFIGS = LOSSES | VARIANTS | ABLATIONS | {"best": BEST, "best_alone": BEST_ALONE, "taught": TAUGHT}
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
