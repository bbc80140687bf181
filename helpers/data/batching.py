"""From encoded texts to batches of tensors: ragged storage, padding, batches of like length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from helpers.data.text import PADDING, FeatureVocabulary, Vocabulary, tokenize, word_form


class Ragged:
    """Sequences of unequal length in one contiguous array: sequence i is values[offsets[i]:offsets[i + 1]]."""

    def __init__(self, sequences: Sequence[np.ndarray]):
        self.lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.values = np.concatenate(sequences) if len(sequences) else np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def subset(self, rows: Sequence[int]) -> "Ragged":
        """The sequences of these rows alone."""
        return Ragged([self[i] for i in rows])

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of the rows one after another, and where each begins: (n,) and (len(rows),)."""
        lengths = self.lengths[rows]
        begins = np.cumsum(lengths) - lengths
        positions = np.arange(lengths.sum()) + np.repeat(self.offsets[rows] - begins, lengths)
        return self.values[positions], begins

    def pad(self, rows: np.ndarray, value: int = PADDING) -> np.ndarray:
        """(len(rows), longest) with `value` after the end of every sequence."""
        lengths = self.lengths[rows]
        padded = np.full((len(rows), lengths.max(initial=1)), value, dtype=self.values.dtype)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = self.take(rows)[0]
        return padded


class PadSequences:
    """A collate_fn: a list of (sequence, target) to one padded batch.

    Args:
        min_length: every batch is at least this wide (and no sequence counts as shorter than 1).
        max_length: longer sequences are cut to this.
        pad_value: what stands after the end of a sequence.
    """

    def __init__(self, min_length: int = 1, max_length: int | None = None, pad_value: int = PADDING):
        if min_length < 1 or (max_length is not None and max_length < min_length):
            raise ValueError(
                f"min_length={min_length}, max_length={max_length}: 1 <= min_length <= max_length is needed"
            )
        self.min_length, self.max_length, self.pad_value = min_length, max_length, pad_value

    def __call__(self, items: Sequence[tuple[Sequence[int], int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns tokens (batch, time), lengths (batch,), targets (batch,)."""
        sequences = [torch.as_tensor(sequence)[: self.max_length] for sequence, _ in items]
        lengths = torch.tensor([max(1, len(sequence)) for sequence in sequences])
        tokens = pad_sequence(sequences, batch_first=True, padding_value=self.pad_value)
        missing = self.min_length - tokens.size(1)
        if missing > 0:
            tokens = torch.nn.functional.pad(tokens, (0, missing), value=self.pad_value)
        return tokens.long(), lengths, torch.tensor([target for _, target in items])


@dataclass(frozen=True)
class TokenFeatures:
    """Features of the distinct tokens of a batch, computed once for each of them.

    ids (n,) features of all distinct tokens one after another; offsets (distinct,) where each begins;
    index (batch, time) which distinct token stands at a position.
    """

    ids: Tensor
    offsets: Tensor
    index: Tensor


@dataclass(frozen=True)
class Batch:
    """What a model reads: tokens (batch, time), lengths (batch,), targets (batch,), rows (batch,) in the data set."""

    tokens: Tensor
    lengths: Tensor
    targets: Tensor
    rows: Tensor
    features: TokenFeatures | None = None

    def __len__(self) -> int:
        return len(self.rows)


class RaggedTexts(Dataset):
    """Texts as ids, kept ragged; a list of rows becomes a Batch in one gather.

    Args:
        tokens: the ids, at least one a text.
        targets: (len(tokens),) class ids; None where there are none (prediction).
        types: number of the distinct token at every position, where tokens have features.
        type_features: the features of every distinct token; number 0 is padding.
    """

    def __init__(self, tokens: Ragged, targets=None, types: Ragged | None = None, type_features: Ragged | None = None):
        self.tokens, self.types, self.type_features = tokens, types, type_features
        self.targets = torch.zeros(len(tokens), dtype=torch.long) if targets is None else torch.as_tensor(targets)
        if len(self.targets) != len(tokens):
            raise ValueError(f"{len(tokens)} texts but {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> np.ndarray:
        """(len(self),) number of tokens of every text."""
        return self.tokens.lengths

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        rows = np.asarray(rows)
        tokens, lengths = torch.from_numpy(self.tokens.pad(rows)), torch.from_numpy(self.lengths[rows])
        numbers = torch.from_numpy(rows)
        return Batch(tokens, lengths, self.targets[numbers], numbers, self._token_features(rows))

    def _token_features(self, rows: np.ndarray) -> TokenFeatures | None:
        if self.types is None:
            return None
        distinct, index = np.unique(self.types.pad(rows), return_inverse=True)
        ids, offsets = self.type_features.take(distinct)
        return TokenFeatures(*map(torch.from_numpy, (ids, offsets, index.reshape(len(rows), -1))))


class EncodedTexts(RaggedTexts):
    """Raw texts, cut into tokens and encoded.

    Args:
        texts: raw texts.
        targets: (len(texts),) class ids; None where there are none (prediction).
        vocabulary: built on the training texts alone.
        scheme: tokenizer scheme.
        features: adds the features of every token, those of unknown words included; words are then looked up by their
            word_form.
        max_tokens: longer texts are cut.
    """

    def __init__(self, texts, targets, vocabulary: Vocabulary, *, scheme="words", features=None, max_tokens=None):
        tokens = [tokenize(text, scheme)[:max_tokens] for text in texts]
        known = (map(word_form, sequence) if features else sequence for sequence in tokens)
        types = _type_features(tokens, features) if features else (None, None)
        super().__init__(Ragged([vocabulary.encode(sequence) for sequence in known]), targets, *types)


def _type_features(tokens: list[list[str]], features: FeatureVocabulary) -> tuple[Ragged, Ragged]:
    """Type number of every token (0 is padding, without features) and the features of every type."""
    numbers: dict[str, int] = {}
    types = [np.array([numbers.setdefault(t, len(numbers) + 1) for t in sequence]) for sequence in tokens]
    return Ragged(types), Ragged([np.zeros(0, dtype=np.int64), *map(features.encode, numbers)])


class LengthBatches(Sampler[list[int]]):
    """Which rows go together.

    Args:
        lengths: (n,) length of every row.
        strategy: "random"; "sorted" (rows of like length, little padding); "equal" (exactly equal length, no padding).
        generator: source of the shuffling; None keeps the order fixed (evaluation).
    """

    def __init__(self, lengths, batch_size: int, strategy: str = "sorted", generator: torch.Generator | None = None):
        if strategy not in ("random", "sorted", "equal"):
            raise ValueError(f"strategy {strategy!r} is not one of random, sorted, equal")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: must be at least 1")
        self.lengths = torch.as_tensor(np.asarray(lengths))
        self.batch_size, self.strategy, self.generator = batch_size, strategy, generator

    def _order(self, n: int) -> Tensor:
        return torch.arange(n) if self.generator is None else torch.randperm(n, generator=self.generator)

    def _batches(self) -> list[Tensor]:
        order = self._order(len(self.lengths))
        if self.strategy == "random":
            return list(order.split(self.batch_size))
        order = order[self.lengths[order].argsort(stable=True)]
        if self.strategy == "sorted":
            return list(order.split(self.batch_size))
        counts = self.lengths[order].unique_consecutive(return_counts=True)[1]
        return [batch for group in order.split(counts.tolist()) for batch in group.split(self.batch_size)]

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._batches()
        for i in self._order(len(batches)).tolist():
            yield batches[i].tolist()

    def __len__(self) -> int:
        if self.strategy == "equal":
            counts = self.lengths.unique(return_counts=True)[1]
            return int((counts / self.batch_size).ceil().sum())
        return -(-len(self.lengths) // self.batch_size)


def make_loader(data: RaggedTexts, batch_size: int, *, strategy="sorted", generator=None) -> DataLoader:
    """A DataLoader of Batch. With a generator the rows are shuffled every epoch (training); without, never."""
    sampler = LengthBatches(data.lengths, batch_size, strategy, generator)
    return DataLoader(data, batch_sampler=sampler, collate_fn=_identity)


def _identity(batch: Batch) -> Batch:
    return batch
