"""From encoded texts to batches of tensors: ragged storage, padding, batches of like length. Two ways to read a title: the assignment's cleaned words, or words as written with their parts and neighbours. Sentences, pairs and triplets as padded batches: all sentences of a batch in one matrix, for one encoder call. Triplets (anchor, positive, negative) out of graded pairs: what a triplet loss learns from."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from helpers.data.splits import normalize_sentence, tokenize_sentence
from helpers.data.text import PADDING, UNKNOWN, FeatureVocabulary, Vocabulary, clean_tokens, tokenize, word_form


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


MAX_TOKENS = 60  # longer titles are cut; the longest of the corpus has fewer
MAX_LETTERS = 30  # of a token that are looked at
START = "<s>"
_WORD = re.compile(r"\w+")


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
        """What from_description() needs; JSON holds it."""
        tokens = self.vocabulary.tokens[UNKNOWN + 1 :]
        return {"representation": "words", "tokens": tokens, "stop_words": sorted(self.stop_words)}


class SubwordTitles:
    """Titles as written (lower case, digits kept): each token by its parts and by the pair it makes with the last one.

    Parts are the token itself and its character n-grams with borders (Bojanowski et al. 2017, arXiv:1607.04606). In a
    batch the pairs stand as `tokens` (0 where the pair was not seen often enough in training) and the parts as
    `features`.

    Args:
        parts: names of the parts kept, in the order of their ids, from 1 on.
        pairs: token pairs kept, "first second", in the order of their ids, from 1 on.
        ngrams: shortest and longest n-gram.
    """

    def __init__(self, parts: Sequence[str], pairs: Sequence[str], ngrams: tuple[int, int] = (2, 5)):
        self.parts, self.pairs, self.ngrams = list(parts), list(pairs), tuple(ngrams)
        self._parts = {name: i for i, name in enumerate(self.parts, start=1)}
        self._pairs = {name: i for i, name in enumerate(self.pairs, start=1)}

    @classmethod
    def build(
        cls, titles: Iterable[str], *, min_count: int = 2, pairs: bool = True, ngrams: tuple[int, int] = (2, 5)
    ) -> "SubwordTitles":
        """Keep the parts and pairs that stand in at least min_count of the training titles."""
        parts, seen_pairs, cache = Counter(), Counter(), {}
        for title in titles:
            tokens = title_tokens(title)
            for token in tokens:
                if token not in cache:
                    cache[token] = token_parts(token, ngrams)
            parts.update({part for token in tokens for part in cache[token]})
            seen_pairs.update(set(_pairs(tokens)) if pairs else ())
        kept = (sorted(name for name, n in counts.items() if n >= min_count) for counts in (parts, seen_pairs))
        return cls(*kept, ngrams)

    def encode(self, titles: Sequence[str], targets=None) -> RaggedTexts:
        """Raw titles as ids."""
        numbers: dict[str, int] = {}
        pairs, types = [], []
        for title in titles:
            tokens = title_tokens(title)
            pairs.append(np.array([self._pairs.get(pair, PADDING) for pair in _pairs(tokens)]))
            types.append(np.array([numbers.setdefault(token, len(numbers) + 1) for token in tokens]))
        known = [[self._parts[p] for p in token_parts(token, self.ngrams) if p in self._parts] for token in numbers]
        features = Ragged([np.array(ids, dtype=np.int64) for ids in ([], *known)])
        return RaggedTexts(Ragged(pairs), targets, Ragged(types), features)

    def description(self) -> dict:
        """What from_description() needs; JSON holds it."""
        return {
            "representation": "subwords", "parts": self.parts, "pairs": self.pairs, "ngrams": list(self.ngrams),
        }  # fmt: skip


def from_description(description: dict) -> WordTitles | SubwordTitles:
    """The representation that description() came from."""
    if description["representation"] == "words":
        return WordTitles(Vocabulary(description["tokens"]), description["stop_words"])
    return SubwordTitles(description["parts"], description["pairs"], description["ngrams"])


def title_tokens(title: str) -> list[str]:
    """Runs of letters and digits, in lower case; never an empty list."""
    return _WORD.findall(title.lower())[:MAX_TOKENS] or ["<vacío>"]


def token_parts(token: str, ngrams: tuple[int, int]) -> list[str]:
    """The token ("=funda") and its distinct n-grams with borders ("<fu", "fun", …)."""
    bordered = f"<{token[:MAX_LETTERS]}>"
    grams = (bordered[i : i + n] for n in range(ngrams[0], ngrams[1] + 1) for i in range(len(bordered) - n + 1))
    return [f"={token}", *dict.fromkeys(grams)]


def _pairs(tokens: list[str]) -> list[str]:
    return [f"{first} {second}" for first, second in zip([START, *tokens], tokens, strict=False)]


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


COLUMNS = ["anchor", "positive", "negative", "kind"]
Partners = dict[str, list[tuple[str, float, str]]]  # sentence -> (partner, relatedness, entailment) of its pairs


def make_triplets(
    frame: pd.DataFrame, *, seed: int, gap: float = 1.0, related: float = 4.0, unrelated: int = 1, contradictions=False
) -> pd.DataFrame:
    """Triplets from the pairs of one side of a split, and from nothing else.

    Args:
        frame: sentence_a, sentence_b, relatedness, and entailment if contradictions are wanted.
        seed: of the sampling of unrelated sentences.
        gap: two pairs that share a sentence, rated so far apart or more, make a triplet of kind "graded": the shared
            sentence, its better and its worse partner.
        related: from this relatedness on a pair gives, in both directions, triplets of kind "unrelated" ...
        unrelated: ... as many as this, each with a random sentence that is paired with neither of the two.
        contradictions: add triplets of kind "contradiction": a sentence, one it forms an entailment with, one it
            contradicts, whatever their relatedness. In SICK contradictions average 3.60, above neutral pairs (2.96):
            they are no natural negatives.

    Returns:
        anchor, positive, negative, kind; no triplet twice (after normalize_sentence).

    Raises:
        ValueError: gap not above 0, or no triplet comes out of the frame.
    """
    if gap <= 0:
        raise ValueError(f"gap={gap}: must be above 0, or the better partner would not be better")
    partners, spelled = _partners(frame, contradictions)
    rows = [*_graded(partners, gap), *_unrelated(partners, related, unrelated, np.random.default_rng(seed))]
    rows += _contradicting(partners) if contradictions else []
    if not rows:
        raise ValueError(f"{len(frame)} pairs make no triplet with gap={gap}, related={related}, unrelated={unrelated}")
    triplets = pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(COLUMNS[:3]).reset_index(drop=True)
    for column in COLUMNS[:3]:
        triplets[column] = triplets[column].map(spelled)
    return triplets


def _partners(frame: pd.DataFrame, labelled: bool) -> tuple[Partners, dict[str, str]]:
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
    met = {anchor: {anchor, *(partner for partner, *_ in rated)} for anchor, rated in partners.items()}
    for anchor, rated in partners.items():
        for positive, relatedness, _ in rated:
            if relatedness < related:
                continue
            drawn = [sentences[i] for i in random.integers(0, len(sentences), count)]
            strangers = [sentence for sentence in drawn if sentence not in met[anchor] | met[positive]]
            yield from ((anchor, positive, negative, "unrelated") for negative in strangers)


def _contradicting(partners: Partners) -> Iterator[tuple]:
    for anchor, rated in partners.items():
        for positive in (partner for partner, _, label in rated if label == "ENTAILMENT"):
            for negative in (partner for partner, _, label in rated if label == "CONTRADICTION"):
                if positive != negative:
                    yield anchor, positive, negative, "contradiction"
