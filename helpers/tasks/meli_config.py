"""The configurations of the MeLi models, by name."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Config:
    """One title classifier and how it is trained. The defaults are the assignment's baseline.

    `cell="none"` has no recurrence: averaged vectors, then one hidden layer (an MLP), or none (dense=0).
    """

    representation: str = "words"  # "words" (cleaned, with word vectors) or "subwords" (as written, with n-grams)
    vectors: str = "pretrained"  # of words: "pretrained", "fasttext", "word2vec" or "random"
    freeze: bool = True
    embedding_dim: int = 300
    min_count: int = 2  # titles that a part or pair must stand in; words have their own rule
    pairs: bool = True
    cell: str = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    pooling: str = "last"
    skip: bool = False  # summed embeddings join the states
    dense: int = 0
    activation: str = "relu"
    dropout: float = 0.1
    pair_dropout: float = 0.0
    part_dropout: float = 0.0
    optimizer: str = "adam"  # "adam", "adamw" or "sgd" (momentum 0.9)
    lr: float = 1e-3
    sparse_lr: float = 1e-3  # of trainable embeddings, which SparseAdam moves
    weight_decay: float = 0.0
    anneal: bool = False  # learning rate up over the first tenth of training, then linearly down to 0
    label_smoothing: float = 0.0
    batch_size: int = 128
    epochs: int = 5
    patience: int | None = None
    valid: bool = True  # False: the validation side joins the training side, and nothing is watched


BASELINE = Config()
MLP = replace(BASELINE, cell="none", dense=256)
# "hidden_layer=254" is read as 256 units, once for each direction of the LSTM and once for the extra ReLU layer
SEED_FINAL = replace(BASELINE, hidden_size=256, dense=256, weight_decay=1e-5)
SEED_LONGER = replace(SEED_FINAL, epochs=10)
BEST = Config(
    representation="subwords", freeze=False, embedding_dim=200, hidden_size=200, pooling="max+mean", skip=True,
    dropout=0.5, pair_dropout=0.2, part_dropout=0.2, optimizer="adamw", lr=2e-3, sparse_lr=4e-3, anneal=True,
    label_smoothing=0.1, epochs=6, valid=False,
)  # fmt: skip
AVERAGED = replace(BEST, cell="none", dense=0, dropout=0.2)  # fastText's classifier on the same subwords
ATTEMPTS = {  # what was tried on the way to BEST, one step away from it each
    "no_skip": replace(BEST, skip=False),
    "no_pairs": replace(BEST, pairs=False),
    "no_smoothing": replace(BEST, label_smoothing=0.0),
}
CONFIGS = {
    "baseline": BASELINE,
    "mlp": MLP,
    "seed_final": SEED_FINAL,
    "seed_longer": SEED_LONGER,
    "best": BEST,
    "averaged": AVERAGED,
}
NAMES = {  # as tables and figures call them
    "baseline": "base (BiLSTM 128)",
    "mlp": "MLP sobre embeddings promediados",
    "seed_final": "modelo final del trabajo",
    "seed_longer": "modelo final del trabajo, 10 épocas",
    "best": "nuestro mejor BiLSTM",
    "averaged": "promedio de subpalabras (fastText)",
    "word_nb": "TF-IDF de palabras, ComplementNB",
    "char_nb": "TF-IDF de caracteres, ComplementNB",
    "word_sgd": "TF-IDF de palabras, lineal (SGD)",
    "char_sgd": "TF-IDF de caracteres, lineal (SGD)",
    "no_skip": "… sin el atajo de los vectores a la salida",
    "no_pairs": "… sin los pares de palabras",
    "no_smoothing": "… sin suavizado de rótulos",
}
