"""Sentences, pairs and triplets as padded batches: all sentences of a batch in one matrix, for one encoder call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from helpers.data.batching import Ragged
from helpers.data.pairs import tokenize_sentence
from helpers.data.text import UNKNOWN, Vocabulary

CASES = ("exact", "fallback", "lower")
NO_LABEL = -100  # what torch's cross-entropy leaves out
MAX_WORDS = 500  # longer sentences are cut: padded, one of them would fill the memory


def spellings(word: str, case: str) -> tuple[str, ...]:
    """The forms under which a word is looked up, first found first taken.

    Args:
        case: "exact" (as written), "fallback" (as written, then Title, UPPER, lower), "lower" (lower first, then Title,
            UPPER: a word at the start of a sentence is the same word).

    Raises:
        ValueError: another case.
    """
    if case not in CASES:
        raise ValueError(f"case {case!r} is not one of {', '.join(CASES)}")
    others = (word.capitalize(), word.upper())
    return {"exact": (word,), "fallback": (word, *others, word.lower()), "lower": (word.lower(), *others)}[case]


class SentenceReader:
    """From a sentence to the ids of its words.

    A word that the vocabulary lacks in every spelling is read by the parts between its hyphens ("pyramid-shaped"), and
    is unknown where these are lacking too. A sentence without any word reads as one unknown word.

    Args:
        vocabulary: words as spelled in their source; id 0 is padding, 1 unknown.
        case: as in spellings().
    """

    def __init__(self, vocabulary: Vocabulary, case: str = "fallback"):
        spellings("", case)
        self.vocabulary, self.case = vocabulary, case

    def ids(self, sentence: str) -> np.ndarray:
        """(words, at least 1) int64."""
        found = [number for word in tokenize_sentence(sentence) for number in self.word_ids(word)]
        return np.array(found[:MAX_WORDS] or [UNKNOWN], dtype=np.int64)

    def word_ids(self, word: str) -> list[int]:
        """One id, or those of the parts of a hyphenated word."""
        number = self._lookup(word)
        if number == UNKNOWN and "-" in word:
            return [self._lookup(part) for part in word.split("-")]
        return [number]

    def _lookup(self, word: str) -> int:
        index = self.vocabulary.index
        return next((index[form] for form in spellings(word, self.case) if form in index), UNKNOWN)


@dataclass(frozen=True)
class SentenceBatch:
    """B rows of one, two (pairs) or three (triplets) sentences: parts = 1, 2, 3.

    tokens (parts * B, time) and lengths (parts * B,): all first sentences, then all second ones, then all third ones;
    targets (B,) similarity 0 to 1; labels (B,) entailment class, NO_LABEL where there is none; rows (B,) in the data
    set.
    """

    tokens: Tensor
    lengths: Tensor
    targets: Tensor
    labels: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def parts(self) -> int:
        """Sentences per row."""
        return len(self.tokens) // len(self.rows)

    def to(self, device: torch.device) -> "SentenceBatch":
        """The same batch on a device."""
        return replace(self, **{name: tensor.to(device) for name, tensor in vars(self).items()})


class EncodedSentences(Dataset):
    """Rows of sentences as ids, kept ragged; a list of rows becomes a SentenceBatch in one gather.

    Args:
        columns: one, two or three lists of sentences of equal length.
        reader: finds the ids.
        targets: (n,) similarity 0 to 1; None where there is none.
        labels: (n,) entailment class; None where there is none.

    Raises:
        TypeError: something that is no string (names its position).
        ValueError: columns, targets or labels of unequal length.
    """

    def __init__(self, columns: Sequence[Sequence[str]], reader: SentenceReader, *, targets=None, labels=None):
        self.size = len(columns[0])
        for values in (*columns, targets, labels):
            if values is not None and len(values) != self.size:
                raise ValueError(f"{self.size} first sentences, but {len(values)} of what goes with them")
        self.distinct: dict[str, int] = {}
        numbers = [[self._number(sentence, row) for row, sentence in enumerate(column)] for column in columns]
        self.index = np.array(numbers, dtype=np.int64).reshape(len(columns), self.size)  # (parts, n)
        self.ids = Ragged([reader.ids(sentence) for sentence in self.distinct])
        self.targets = torch.zeros(self.size) if targets is None else _tensor(targets, torch.float32)
        self.labels = torch.full((self.size,), NO_LABEL) if labels is None else _tensor(labels, torch.long)

    def _number(self, sentence: str, row: int) -> int:
        if not isinstance(sentence, str):
            raise TypeError(f"sentence {row} is {type(sentence).__name__}, not a string")
        return self.distinct.setdefault(sentence, len(self.distinct))

    def __len__(self) -> int:
        return self.size

    @property
    def lengths(self) -> np.ndarray:
        """(len(self),) words of the longest sentence of every row: rows of like length share a batch."""
        return self.ids.lengths[self.index].max(0)

    def __getitems__(self, rows: Sequence[int]) -> SentenceBatch:
        numbers = self.index[:, np.asarray(rows)].reshape(-1)
        tokens, lengths = torch.from_numpy(self.ids.pad(numbers)), torch.from_numpy(self.ids.lengths[numbers])
        chosen = torch.as_tensor(rows)
        return SentenceBatch(tokens, lengths, self.targets[chosen], self.labels[chosen], chosen)


class EncodedPairs(EncodedSentences):
    """Pairs of sentences; their batches have parts = 2.

    Args:
        first, second: (n,) sentences.
        reader, targets, labels: as in EncodedSentences.
    """

    def __init__(self, first: Iterable[str], second: Iterable[str], reader: SentenceReader, **targets):
        super().__init__([list(first), list(second)], reader, **targets)


def _tensor(values, dtype: torch.dtype) -> Tensor:
    return torch.tensor(np.asarray(values), dtype=dtype)  # a copy: pandas hands out read-only arrays
