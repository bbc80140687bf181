"""The configurations of the SMS models, by name."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Config:
    """One recurrent spam classifier and how it is trained. The defaults are the assignment's architecture."""

    scheme: str = "words"  # tokenizer
    max_tokens: int = 200
    embedding_dim: int = 50
    feature_count: int = 0  # messages that a token feature must stand in to be used; 0 uses no features
    vectors: str | None = None  # catalogue name of pretrained word vectors
    freeze: bool = False
    word_dropout: float = 0.0
    feature_dropout: float = 0.0
    cell: str = "rnn"
    hidden_size: int = 80
    num_layers: int = 1
    bidirectional: bool = False
    pooling: str = "last"
    dense: int = 60
    activation: str = "relu"
    dropout: float = 0.0
    lr: float = 1e-3
    weight_decay: float = 0.0
    anneal: bool = False  # one-cycle learning rate that ends at 0
    label_smoothing: float = 0.0
    spam_weight: float = 1.0  # weight of a spam message in the loss
    packed: bool = False  # PackedSequence instead of dense padded batches: same numbers, other speed
    clip: float | None = 1.0
    ema: float | None = None  # decay of the averaged weights
    batches: str = "sorted"  # which messages share a batch: "sorted" by length or "random"
    batch_size: int = 32
    epochs: int = 30
    valid_share: float = 0.1  # of the training side; 0 trains on all of it for exactly `epochs`
    patience: int | None = 5
    threshold: float = 0.5  # probability from which a message counts as spam


GIVEN = Config()  # one recurrent layer of 80, a dense layer of 60
CELLS = {"rnn": GIVEN, "gru": replace(GIVEN, cell="gru"), "lstm": replace(GIVEN, cell="lstm")}
LITERAL = {
    "rnn_softmax": replace(GIVEN, activation="softmax"),
    "rnn_end": replace(GIVEN, pooling="end", batches="random"),
    "rnn_listing": replace(GIVEN, lr=0.01, epochs=100, patience=None, valid_share=0, clip=None),
}
R5_BASE = "lstm"  # of CELLS the best on the validation parts
_BOTH = replace(CELLS[R5_BASE], bidirectional=True)
VARIANTS = {
    "two_layers": replace(CELLS[R5_BASE], num_layers=2),
    "bidirectional": _BOTH,
    "bidirectional_embedding_25": replace(_BOTH, embedding_dim=25),
    "bidirectional_embedding_100": replace(_BOTH, embedding_dim=100),
    "bidirectional_dense_30": replace(_BOTH, dense=30),
    "bidirectional_dense_120": replace(_BOTH, dense=120),
}
BEST = Config(
    scheme="space", feature_count=3, feature_dropout=0.3, embedding_dim=64, cell="lstm", bidirectional=True,
    pooling="max+mean", dropout=0.5, label_smoothing=0.05, lr=6e-3, weight_decay=0.01, anneal=True, batch_size=64,
    epochs=10, valid_share=0, patience=None,
)  # fmt: skip
ATTEMPTS = {  # what was tried on the way to BEST, one step away from it each
    "no_smoothing": replace(BEST, label_smoothing=0.0),
    "frozen_glove": replace(BEST, vectors="glove-twitter-12k", freeze=True),
}
CONFIGS = CELLS | LITERAL | VARIANTS | ATTEMPTS | {"best": BEST}
NAMES = {  # as tables and figures call them
    "rnn": "RNN simple",
    "gru": "GRU",
    "lstm": "LSTM",
    "rnn_softmax": "RNN, softmax sobre las 60 (literal)",
    "rnn_end": "RNN, estado leído sobre el relleno",
    "rnn_listing": "RNN, ajustes del listado",
    "two_layers": "dos capas",
    "bidirectional": "bidireccional (embedding 50, densa 60)",
    "bidirectional_embedding_25": "bidireccional, embedding 25",
    "bidirectional_embedding_100": "bidireccional, embedding 100",
    "bidirectional_dense_30": "bidireccional, densa 30",
    "bidirectional_dense_120": "bidireccional, densa 120",
    "best": "mejor recurrente",
    "ensemble": "conjunto de 5 (media de probabilidades)",
    "word_svm": "SVM lineal, TF-IDF de palabras",
    "char_svm": "SVM lineal, TF-IDF de caracteres",
    "no_smoothing": "… sin suavizado de rótulos",
    "frozen_glove": "… más GloVe Twitter congelado",
}
