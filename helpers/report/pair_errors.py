"""Where a similarity of sentences fails: the worst pairs, errors by phenomenon, one pair word against word."""

from collections import Counter

import numpy as np
import pandas as pd
import torch

from helpers.data.pairs import tokenize_sentence
from helpers.data.sentence_batches import EncodedSentences, SentenceReader
from helpers.data.wordnet import word_set
from helpers.model.relatedness import relatedness_metrics
from helpers.model.siamese import SiameseNetwork

NEGATIONS = word_set("no not n't nobody nothing none never nowhere neither nor without cannot")
NUMBERS = word_set("two three four five six seven eight nine ten both couple pair several few many dozen")
ARTICLES = word_set("a an the")
AUXILIARIES = word_set("is are was were be been")
FUNCTION_WORDS = (ARTICLES | AUXILIARIES) | word_set(
    "being am there and or of to in on at by with from into onto for over off up down out near next some one who which "
    "that while as it its his her their"
)
PHENOMENA = {  # column -> name shown
    "negation": "niega una sola de las dos",
    "order": "mismas palabras plenas, en otro orden",
    "numbers": "distintas cantidades",
    "one_word": "se diferencian en una palabra",
    "passive": "una en pasiva y la otra en activa",
    "other": "ninguno de los anteriores",
}


def phenomena(frame: pd.DataFrame) -> pd.DataFrame:
    """Which phenomena the pairs show, found by their words: a boolean column for each of PHENOMENA.

    A pair may show several. "order" looks at content words alone; in "one_word" one word stands for another or is one
    too many, articles aside; "other" is a pair that shows none.

    Args:
        frame: sentence_a, sentence_b.
    """
    pairs = zip(frame["sentence_a"], frame["sentence_b"], strict=True)
    table = pd.DataFrame(
        [_shown(*map(_words, pair)) for pair in pairs], index=frame.index, columns=list(PHENOMENA)[:-1]
    )
    return table.assign(other=~table.any(axis=1))


def _words(sentence: str) -> list[str]:
    return [word.lower() for word in tokenize_sentence(sentence)]


def _shown(first: list[str], second: list[str]) -> list[bool]:
    contents = [[word for word in words if word not in FUNCTION_WORDS] for words in (first, second)]
    one, other = (Counter(word for word in words if word not in ARTICLES) for words in (first, second))
    return [
        bool(NEGATIONS & set(first)) != bool(NEGATIONS & set(second)),
        Counter(contents[0]) == Counter(contents[1]) and contents[0] != contents[1],
        _quantities(first) != _quantities(second),
        max((one - other).total(), (other - one).total()) == 1,
        _is_passive(first) != _is_passive(second),
    ]


def _quantities(words: list[str]) -> Counter:
    return Counter(word for word in words if word in NUMBERS or word[0].isdigit())


def _is_passive(words: list[str]) -> bool:
    """ "being" and later "by", or a participle between a form of "be" and "by"."""
    return any(
        "being" in words[:i] or (words[i - 1].endswith(("ed", "en")) and words[max(0, i - 2)] in AUXILIARIES)
        for i, word in enumerate(words)
        if word == "by"
    )


def by_phenomenon(frame: pd.DataFrame) -> pd.DataFrame:
    """Errors over the pairs of each phenomenon, and over all.

    Args:
        frame: sentence_a, sentence_b, relatedness, prediction.

    Returns:
        Indexed by name shown: pairs, relatedness (mean), absolute_error, bias (mean of prediction - relatedness),
        pearson (NaN for fewer than three pairs).
    """
    shown = phenomena(frame).rename(columns=PHENOMENA).assign(todos=True)
    return pd.DataFrame({name: _errors(frame[mask]) for name, mask in shown.items() if mask.any()}).T.astype(
        {"pairs": int}
    )


def _errors(frame: pd.DataFrame) -> dict[str, float]:
    error = frame["prediction"] - frame["relatedness"]
    pearson = relatedness_metrics(frame["relatedness"], frame["prediction"])["pearson"] if len(frame) > 2 else np.nan
    return {
        "pairs": len(frame), "relatedness": frame["relatedness"].mean(), "absolute_error": error.abs().mean(),
        "bias": error.mean(), "pearson": pearson,
    }  # fmt: skip


def worst_pairs(frame: pd.DataFrame, count: int = 20) -> pd.DataFrame:
    """The pairs with the largest error, worst first.

    Args:
        frame: sentence_a, sentence_b, relatedness, prediction, entailment.

    Returns:
        sentence_a, sentence_b, relatedness, prediction, error (signed), entailment, phenomena (names shown).
    """
    error = frame["prediction"] - frame["relatedness"]
    rows = error.abs().sort_values(ascending=False, kind="stable").index[:count]
    worst = frame.loc[rows, ["sentence_a", "sentence_b", "relatedness", "prediction", "entailment"]]
    marks = phenomena(worst).drop(columns="other").rename(columns=PHENOMENA)
    names = [", ".join(marks.columns[row]) or "—" for row in marks.to_numpy()]
    worst.insert(4, "error", error[rows])
    return worst.assign(phenomena=names)


def word_similarities(
    network: SiameseNetwork, reader: SentenceReader, first: str, second: str
) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Cosines between the words of one sentence and those of the other, by word vector and by state of the recurrence.

    Args:
        network: whose recurrence reads word by word (not the averaged vector).
        reader: of its words.

    Returns:
        The words of both sentences as they are read, and two (len(first), len(second)) matrices; a word without a
        vector has cosine 0 with every other.
    """
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        batch = EncodedSentences([[first], [second]], reader).__getitems__([0])
        embedded, states = network.encoder.embedding(batch), network.encoder.states(batch).outputs
    network.train(was_training)
    sizes = batch.lengths.tolist()
    vectors, states = (
        _cosines(*(part[side, : sizes[side]].double().numpy() for side in (0, 1))) for part in (embedded, states)
    )
    return _pieces(reader, first), _pieces(reader, second), vectors, states


def _pieces(reader: SentenceReader, sentence: str) -> list[str]:
    """The words of a sentence; of one that is read by the parts between its hyphens these."""
    words = tokenize_sentence(sentence)
    pieces = [word.split("-") if len(reader.word_ids(word)) > 1 else [word] for word in words]
    return [piece for parts in pieces for piece in parts] or ["(vacía)"]


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = [np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12) for side in (first, second)]
    return (first / lengths[0]) @ (second / lengths[1]).T
