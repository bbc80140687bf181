"""From texts to batches of tensors: ragged ids, padding, rows of like length together; titles, sentences, triplets.

A data set keeps ids ragged and turns a list of rows into one batch; every batch moves with `.to(device)`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from helpers import settings
from helpers.data.text import (
    MAX_TOKENS,
    NGRAMS,
    PADDING,
    UNKNOWN,
    FeatureVocabulary,
    SentenceReader,
    Vocabulary,
    clean_tokens,
    normalize_sentence,
    title_tokens,
    token_pairs,
    token_parts,
    tokenize,
    word_form,
)

if TYPE_CHECKING:
    import pandas as pd

NO_LABEL = -100  # what torch's cross-entropy leaves out
STRATEGIES = ("random", "sorted", "equal")
TRIPLET = ["anchor", "positive", "negative"]
Text = str | Sequence[str]  # a raw text, or its tokens where they are at hand
Partners = dict[str, list[tuple[str, float, str]]]  # sentence -> (partner, relatedness, entailment) of its pairs


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
        pad_value: what fills a row after the end of its sequence.

    Example:
        >>> PadSequences()([([1, 2], 0), ([3], 1)])
        (tensor([[1, 2],
                [3, 0]]), tensor([2, 1]), tensor([0, 1]))
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


# Batches


class OnDevice:
    """Tensors that move together; for frozen dataclasses."""

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Self:
        """The same on a device; itself where it is there already. Copies to CUDA are queued, not waited for."""
        device = torch.device(device)
        parts = {name: value for name, value in vars(self).items() if value is not None}
        if all(part.device == device for part in parts.values()):
            return self
        queued = non_blocking and device.type == "cuda"  # on the way back it would hand out unfinished tensors
        return replace(self, **{name: part.to(device, non_blocking=queued) for name, part in parts.items()})

    @property
    def device(self) -> torch.device:
        """Where the first of the tensors is."""
        return next(value for value in vars(self).values() if value is not None).device


@dataclass(frozen=True)
class TokenFeatures(OnDevice):
    """Features of the distinct tokens of a batch, computed once for each of them.

    ids (n,) features of all distinct tokens one after another; offsets (distinct,) where each begins;
    index (batch, time) number of the distinct token at every position.
    """

    ids: Tensor
    offsets: Tensor
    index: Tensor


@dataclass(frozen=True)
class Batch(OnDevice):
    """What a model reads: tokens (batch, time), lengths (batch,), targets (batch,), rows (batch,) in the data set."""

    tokens: Tensor
    lengths: Tensor
    targets: Tensor
    rows: Tensor
    features: TokenFeatures | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class SentenceBatch(OnDevice):
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


class LengthBatches(Sampler[list[int]]):
    """Which rows go together.

    Args:
        lengths: (n,) length of every row.
        strategy: "random"; "sorted" (rows of like length, little padding); "equal" (exactly equal length, no padding).
        generator: source of the shuffling; None keeps the order fixed (evaluation).
    """

    def __init__(self, lengths, batch_size: int, strategy: str = "sorted", generator: torch.Generator | None = None):
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy {strategy!r} is not one of {', '.join(STRATEGIES)}")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: must be at least 1")
        self.lengths = torch.as_tensor(np.asarray(lengths))
        self.batch_size, self.strategy, self.generator = batch_size, strategy, generator

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._batches()
        for i in self._order(len(batches)).tolist():
            yield batches[i].tolist()

    def __len__(self) -> int:
        if self.strategy == "equal":
            counts = self.lengths.unique(return_counts=True)[1]
            return int((counts / self.batch_size).ceil().sum())
        return -(-len(self.lengths) // self.batch_size)

    def _order(self, n: int) -> Tensor:
        return torch.arange(n) if self.generator is None else torch.randperm(n, generator=self.generator)

    def _batches(self) -> list[Tensor]:
        order = self._order(len(self.lengths))
        if self.strategy != "random":
            order = order[self.lengths[order].argsort(stable=True)]
        if self.strategy != "equal":
            return list(order.split(self.batch_size))
        counts = self.lengths[order].unique_consecutive(return_counts=True)[1]
        return [batch for group in order.split(counts.tolist()) for batch in group.split(self.batch_size)]


def make_loader(data: Dataset, batch_size: int, *, strategy="sorted", generator=None) -> DataLoader:
    """A DataLoader whose items are batches (Batch or SentenceBatch).

    Args:
        data: RaggedTexts or EncodedSentences.
        strategy: as in LengthBatches.
        generator: shuffles the rows every epoch (training); None never does.
    """
    sampler = LengthBatches(data.lengths, batch_size, strategy, generator)
    return DataLoader(data, batch_sampler=sampler, collate_fn=_identity)


def _identity(batch):
    return batch


# Texts and titles


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
    """Texts, cut into tokens and encoded.

    Args:
        texts: raw texts, or their tokens.
        targets: (len(texts),) class ids; None where there are none (prediction).
        vocabulary: built on the training texts alone.
        scheme: tokenizer scheme.
        features: adds the features of every token, those of unknown words included; words are then looked up by their
            word_form.
        max_tokens: longer texts are cut.
    """

    def __init__(
        self, texts: Sequence[Text], targets, vocabulary: Vocabulary, *, scheme: str = "words",
        features: FeatureVocabulary | None = None, max_tokens: int | None = None,
    ):  # fmt: skip
        tokens = [_tokens(text, lambda raw: tokenize(raw, scheme))[:max_tokens] for text in texts]
        known = (map(word_form, sequence) if features else sequence for sequence in tokens)
        types = _types(tokens, features.encode) if features else (None, None)
        super().__init__(Ragged([vocabulary.encode(sequence) for sequence in known]), targets, *types)


def _tokens(text: Text, cut: Callable[[str], Sequence[str]]) -> Sequence[str]:
    return text if isinstance(text, list | tuple) else cut(text)


def _types(tokens: Iterable[Sequence[str]], encode: Callable[[str], np.ndarray]) -> tuple[Ragged, Ragged]:
    """Type number of every token (0 is padding, without features) and the features of every type."""
    numbers: dict[str, int] = {}
    types = [np.array([numbers.setdefault(t, len(numbers) + 1) for t in sequence]) for sequence in tokens]
    return Ragged(types), Ragged([np.zeros(0, dtype=np.int64), *map(encode, numbers)])


class WordTitles:
    """Titles as the assignment reads them: cleaned words, without stop words, looked up in a dictionary.

    A word that is not in the dictionary becomes UNKNOWN, and so does a title of which nothing is left.
    """

    def __init__(self, vocabulary: Vocabulary, stop_words: Collection[str] = ()):
        self.vocabulary, self.stop_words = vocabulary, frozenset(stop_words)

    def encode(self, titles: Sequence[str], targets=None) -> RaggedTexts:
        """Raw titles as ids."""
        words = ([w for w in clean_tokens(title) if w not in self.stop_words][:MAX_TOKENS] for title in titles)
        return RaggedTexts(Ragged([self.vocabulary.encode(kept or ["<unk>"]) for kept in words]), targets)

    def description(self) -> dict:
        """What from_description() needs, as JSON holds it."""
        tokens = self.vocabulary.tokens[UNKNOWN + 1 :]
        return {"representation": "words", "tokens": tokens, "stop_words": sorted(self.stop_words)}


class SubwordTitles:
    """Titles as written (lower case, digits kept): every token by its parts and by the pair with the one before it.

    Parts are the token and its character n-grams with borders (Bojanowski et al. 2017, arXiv:1607.04606). A batch
    holds the pairs as `tokens` (0 where the pair was not seen often enough in training) and the parts as `features`.

    Args:
        parts: names of the parts kept, in the order of their ids, from 1 on.
        pairs: token pairs kept, "first second", in the order of their ids, from 1 on.
        ngrams: shortest and longest n-gram.
    """

    def __init__(self, parts: Sequence[str], pairs: Sequence[str], ngrams: tuple[int, int] = NGRAMS):
        self.parts, self.pairs, self.ngrams = list(parts), list(pairs), tuple(ngrams)
        self._parts = {name: i for i, name in enumerate(self.parts, start=1)}
        self._pairs = {name: i for i, name in enumerate(self.pairs, start=1)}

    @classmethod
    def build(
        cls, titles: Iterable[Text], *, min_count: int = 2, pairs: bool = True, ngrams: tuple[int, int] = NGRAMS
    ) -> "SubwordTitles":
        """Keep the parts and pairs that occur in at least min_count of the training titles (raw, or their tokens)."""
        parts, seen_pairs, cache = Counter(), Counter(), {}
        for title in titles:
            tokens = _tokens(title, title_tokens)
            for token in tokens:
                if token not in cache:
                    cache[token] = token_parts(token, ngrams)
            parts.update({part for token in tokens for part in cache[token]})
            seen_pairs.update(set(token_pairs(tokens)) if pairs else ())
        kept = (sorted(name for name, n in counts.items() if n >= min_count) for counts in (parts, seen_pairs))
        return cls(*kept, ngrams)

    def encode(self, titles: Sequence[Text], targets=None) -> RaggedTexts:
        """Titles (raw, or their tokens) as ids."""
        tokens = [_tokens(title, title_tokens) for title in titles]
        pairs = [np.array([self._pairs.get(pair, PADDING) for pair in token_pairs(sequence)]) for sequence in tokens]
        return RaggedTexts(Ragged(pairs), targets, *_types(tokens, self._part_ids))

    def _part_ids(self, token: str) -> np.ndarray:
        known = [self._parts[part] for part in token_parts(token, self.ngrams) if part in self._parts]
        return np.array(known, dtype=np.int64)

    def description(self) -> dict:
        """What from_description() needs, as JSON holds it."""
        return {
            "representation": "subwords", "parts": self.parts, "pairs": self.pairs, "ngrams": list(self.ngrams),
        }  # fmt: skip


def from_description(description: dict) -> WordTitles | SubwordTitles:
    """The reader whose description() this is."""
    if description["representation"] == "words":
        return WordTitles(Vocabulary(description["tokens"]), description["stop_words"])
    return SubwordTitles(description["parts"], description["pairs"], description["ngrams"])


# Sentences: all sentences of a batch in one matrix, for one call of the encoder


class EncodedSentences(Dataset):
    """Rows of sentences as ids, kept ragged; a list of rows becomes a SentenceBatch in one gather.

    Args:
        columns: one, two or three lists of sentences of equal length.
        reader: finds the ids; every distinct sentence is read once.
        targets: (n,) similarity 0 to 1; None where there is none.
        labels: (n,) entailment class; None where there is none.

    Raises:
        TypeError: a sentence is not a string (names its row).
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


# Triplets (anchor, positive, negative) out of graded pairs


def make_triplets(
    frame: "pd.DataFrame", *, seed: int, gap: float = 1.0, related: float = 4.0, unrelated: int = 1,
    contradictions: bool = False,
) -> "pd.DataFrame":  # fmt: skip
    """Triplets for a triplet loss, from the pairs of one side of a split and nothing else.

    Args:
        frame: sentence_a, sentence_b, relatedness, and entailment if contradictions are wanted.
        seed: of the sampling of unrelated sentences.
        gap: two pairs that share a sentence and are rated at least this far apart make a triplet of kind "graded": the
            shared sentence, its better and its worse partner.
        related: from this relatedness on a pair gives, in both directions, triplets of kind "unrelated" ...
        unrelated: ... as many as this, each with a random sentence that is paired with neither of the two.
        contradictions: add triplets of kind "contradiction": a sentence, one it forms an entailment with, one it
            contradicts, whatever their relatedness. In SICK contradictions average 3.60, above neutral pairs (2.96):
            they are no natural negatives.

    Returns:
        anchor, positive, negative, kind; no triplet twice (after normalize_sentence).

    Raises:
        ValueError: gap not above 0, or the frame makes no triplet.
    """
    import pandas as pd

    if gap <= 0:
        raise settings.WrongValue(f"gap={gap}: must be above 0, or the better partner would not be better")
    partners, spelled = _partners(frame, contradictions)
    rows = [*_graded(partners, gap), *_unrelated(partners, related, unrelated, np.random.default_rng(seed))]
    rows += _contradicting(partners) if contradictions else []
    if not rows:
        raise settings.WrongValue(
            f"{len(frame)} pairs make no triplet with gap={gap}, related={related}, unrelated={unrelated}"
        )
    triplets = pd.DataFrame(rows, columns=[*TRIPLET, "kind"]).drop_duplicates(TRIPLET).reset_index(drop=True)
    for column in TRIPLET:
        triplets[column] = triplets[column].map(spelled)
    return triplets


def _partners(frame: "pd.DataFrame", labelled: bool) -> tuple[Partners, dict[str, str]]:
    """Partners of every sentence, and how a normalised sentence was first spelled."""
    partners, spelled = defaultdict(list), {}
    labels = frame["entailment"] if labelled else [""] * len(frame)
    columns = zip(frame["sentence_a"], frame["sentence_b"], frame["relatedness"], labels, strict=True)
    for first, second, relatedness, label in columns:
        one, other = normalize_sentence(first), normalize_sentence(second)
        spelled.setdefault(one, first)
        spelled.setdefault(other, second)
        if one != other:
            partners[one].append((other, relatedness, label))
            partners[other].append((one, relatedness, label))
    return partners, spelled


def _graded(partners: Partners, gap: float) -> Iterator[tuple]:
    for anchor, rated in partners.items():
        for positive, high, _ in rated:
            for negative, low, _ in rated:
                if high - low >= gap and positive != negative:
                    yield anchor, positive, negative, "graded"


def _unrelated(partners: Partners, related: float, count: int, random: np.random.Generator) -> Iterator[tuple]:
    sentences = list(partners)
    paired = {anchor: {anchor, *(partner for partner, *_ in rated)} for anchor, rated in partners.items()}
    for anchor, rated in partners.items():
        for positive, relatedness, _ in rated:
            if relatedness < related:
                continue
            for number in random.integers(0, len(sentences), count):
                if sentences[number] not in paired[anchor] | paired[positive]:
                    yield anchor, positive, sentences[number], "unrelated"


def _contradicting(partners: Partners) -> Iterator[tuple]:
    for anchor, rated in partners.items():
        for positive in (partner for partner, _, label in rated if label == "ENTAILMENT"):
            for negative in (partner for partner, _, label in rated if label == "CONTRADICTION"):
                if positive != negative:
                    yield anchor, positive, negative, "contradiction"
