"""The rows of README's results table, in its order."""

from typing import NamedTuple


class Row(NamedTuple):
    """One row of README's table; `name` is looked up with .mean and .std, else as it stands."""

    task: str
    model: str
    metric: str
    name: str
    decimals: int
    to_beat: str


MELI = "[03 · MeLi titles](notebooks/03_meli_bilstm.ipynb)"
MELI_MODELS = (
    ("assignment's baseline (BiLSTM 128)", "baseline", "MLP"),
    ("MLP over averaged embeddings", "mlp", "(reference)"),
    ("assignment's final model (BiLSTM 256)", "seed_final", "0.92 with the whole course set"),
    ("best BiLSTM", "best", "0.945 and the best peer"),
    ("averaged subwords (fastText style)", "averaged", "(peer)"),
    ("word TF-IDF, linear (SGD)", "peer.word_sgd", "(peer)"),
    ("character TF-IDF, linear (SGD)", "peer.char_sgd", "(peer)"),
)
SMS = "[04 · SMS spam](notebooks/04_sms_rnn_vs_lstm.ipynb)"
SMS_MODELS = (
    ("simple RNN", "rnn", "the peers below"),
    ("GRU", "gru", "simple RNN"),
    ("LSTM", "lstm", "simple RNN"),
    ("best recurrent model", "best", "F1 0.975 and the best peer"),
    ("five of them, mean probability", "ensemble", "the best peer"),
    ("word TF-IDF, linear SVM", "peer.word_svm", "(peer)"),
    ("character TF-IDF, linear SVM", "peer.char_svm", "(peer)"),
)
SICK = "[05 · SICK similarity](notebooks/05_siamese_sick.ipynb)"
SICK_METRICS = (
    ("Pearson", "pearson", "0.8822 (Mueller & Thyagarajan 2016)"),
    ("Spearman", "spearman", "0.8345 (the same)"),
    ("mean squared error", "mse", "0.2286 (the same)"),
)
SICK_MODELS = (
    ("mean GloVe vectors, cosine, untrained", "reference.mean_cosine_glove"),
    ("assignment's ranking loss, BiLSTM", "ranking_loss"),
    ("best siamese BiLSTM, SICK alone", "best_alone"),
    ("best siamese BiLSTM", "best"),
)
AUGMENTED = "[06 · augmentation](notebooks/06_augmentation.ipynb)"
RATED = "best siamese BiLSTM, first on pairs that three like it rated"
ROWS = (
    *(Row(MELI, label, "balanced accuracy", f"meli.{name}.test_bacc", 4, beat) for label, name, beat in MELI_MODELS),
    Row(MELI, "best BiLSTM", "balanced accuracy, out of fold", "meli.best.oof_bacc", 4, "0.946 and the best peer"),
    *(
        Row(MELI, label, "balanced accuracy, out of fold", f"meli.{name}.oof_bacc", 4, "(peer)")
        for label, name, _ in MELI_MODELS
        if name in ("averaged", "peer.char_sgd")
    ),
    *(
        Row(SMS, label, metric, f"sms.{name}.{key}", 4, to_beat)
        for metric, key in (("spam F1", "f1"), ("accuracy", "accuracy"))
        for label, name, to_beat in SMS_MODELS
    ),
    *(
        Row(SICK, label, metric, f"sick.{name}.{key}", 4, "(reference)" if "untrained" in label else to_beat)
        for metric, key, to_beat in SICK_METRICS
        for label, name in SICK_MODELS
    ),
    *(
        Row(AUGMENTED, RATED, metric, f"sick.augment.rated.{key}", 4, to_beat)
        for metric, key, to_beat in SICK_METRICS
    ),
)  # fmt: skip
