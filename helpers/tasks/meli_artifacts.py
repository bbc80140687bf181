"""What preparing the titles leaves for the models: dictionary, encoded titles, vectors; on disk, built when missing.

Everything lies under `artifacts/meli/`, in a folder named by a hash of the configuration, of the data and of the code
that made it: other settings, data or code never read what is there. Tensors are safetensors, the rest JSON.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers import settings
from helpers.data import cleaning, corpora, schema, splits, text, trained_vectors, vectors
from helpers.data.batching import Ragged
from helpers.data.cleaning import clean_tokens, stopwords_es
from helpers.data.sources import SourceError, obtain_first
from helpers.data.text import PADDING, UNKNOWN, Vocabulary
from helpers.data.trained_vectors import EPOCHS, TrainedVectors, train_vectors
from helpers.data.vectors import embedding_matrix, read_vectors
from helpers.data.verification import file_sha256
from helpers.model.checkpoints import DESCRIPTION, CheckpointError, load_checkpoint, save_checkpoint
from helpers.report.results import code_hash
from helpers.tasks import meli_data
from helpers.tasks.meli_data import Parts

DIM = 300
SBW = ("sbw", "sbw-gz")
KINDS = ("sbw", *EPOCHS)
CODE = (cleaning, corpora, schema, splits, text, trained_vectors, vectors, meli_data)
STOP_WORDS = ("skip", "unknown")


class ArtifactError(RuntimeError):
    """A stored artifact that is damaged: which, and what to do."""


@dataclass(frozen=True)
class Config:
    """How titles become ids.

    Args:
        split_seed: of the partition; read only where the course's own subsets are not there.
        rows: whole categories with about this many titles together; None takes all.
        min_count: training titles' tokens rarer than this have no id of their own.
        stop_words: they are never in the dictionary; in a title they are left out ("skip", as the course does) or
            become the unknown token ("unknown", what taking them from the dictionary alone amounts to).
    """

    split_seed: int
    rows: int | None = None
    min_count: int = 1
    stop_words: str = "skip"

    def __post_init__(self):
        if self.stop_words not in STOP_WORDS:
            raise ValueError(f"stop_words={self.stop_words!r} is not one of {', '.join(STOP_WORDS)}")


@dataclass(frozen=True)
class Prepared:
    """The titles as the models read them.

    Args:
        folder: where it is kept.
        vocabulary: of the training side alone, without stop words; 0 is padding, 1 unknown.
        tokens: ids of every title in the order of the frame, at least one each.
        targets: (titles,) int64 category numbers.
        parts: row numbers of the three sides.
        categories: names in order of appearance, so that categories[target] is the name.
    """

    config: Config
    folder: Path
    vocabulary: Vocabulary
    tokens: Ragged
    targets: np.ndarray
    parts: Parts
    categories: list[str]

    def train_texts(self) -> list[list[str]]:
        """The training titles as words of the dictionary, unknown ones left out."""
        return [self.vocabulary.decode(ids[ids > UNKNOWN]) for ids in map(self.tokens.__getitem__, self.parts.train)]

    def vectors(self, kind: str | None = None) -> np.ndarray:
        """(len(vocabulary), 300) float32 start of an embedding layer; padding is zero, words without a vector random.

        Args:
            kind: "sbw", "fasttext" or "word2vec" (these two trained on the training titles); None: default_kind().

        Raises:
            ValueError: unknown kind.
            SourceError: SBW is asked for and not at hand.
        """
        return self._vectors(kind)["matrix"].numpy()

    def known(self, kind: str | None = None) -> np.ndarray:
        """(len(vocabulary),) bool: the rows of vectors(kind) that hold a trained vector."""
        return self._vectors(kind)["known"].numpy()

    def vectors_folder(self, kind: str | None = None) -> Path:
        """Where the vectors of a kind are kept."""
        kind = kind or default_kind()
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is not one of {', '.join(KINDS)}")
        made = {"kind": kind, "dim": DIM, "seed": settings.SEED}
        if kind == "sbw":
            made["file"] = file_sha256(obtain_first(*SBW)[0])
        else:
            made |= {"epochs": _epochs(kind), "gensim": settings.versions()["gensim"]}
        return self.folder.with_name(f"{self.folder.name}-{kind}-{_digest(made)[:8]}")

    def trained(self, kind: str) -> TrainedVectors:
        """Train the vectors of a kind now, for what their matrix cannot tell: neighbours, unseen words.

        The matrix is kept for vectors(), which gives the same numbers.
        """
        model = self._train(kind)
        self._stored_vectors(kind, lambda: model.lookup(self.vocabulary.tokens[UNKNOWN + 1 :]))
        return model

    def _vectors(self, kind: str | None) -> dict[str, torch.Tensor]:
        kind, words = kind or default_kind(), self.vocabulary.tokens[UNKNOWN + 1 :]
        if kind == "sbw":
            return self._stored_vectors(kind, lambda: read_vectors(obtain_first(*SBW)[0], words, case_fallback=True))
        return self._stored_vectors(kind, lambda: self._train(kind).lookup(words))

    def _train(self, kind: str) -> TrainedVectors:
        return train_vectors(self.train_texts(), kind, dim=DIM, seed=settings.SEED, epochs=_epochs(kind))

    def _stored_vectors(self, kind: str, find: Callable[[], tuple[list[str], np.ndarray]]) -> dict[str, torch.Tensor]:
        def build() -> tuple[dict, dict]:
            matrix, known = embedding_matrix(self.vocabulary.tokens, *find(), seed=settings.SEED, zero_rows=(PADDING,))
            return {"matrix": torch.from_numpy(matrix), "known": torch.from_numpy(known)}, {"kind": kind, "dim": DIM}

        return _stored(self.vectors_folder(kind), build)[0]


def default_kind() -> str:
    """The vectors taken when none are named: "sbw" where SBW is in the cache or in a mirror folder, else "fasttext"."""
    try:
        obtain_first(*SBW)
    except SourceError:
        return "fasttext"
    return "sbw"


def encode_titles(
    token_lists: Sequence[Sequence[str]], vocabulary: Vocabulary, stop_words: frozenset[str], mode: str = "skip"
) -> Ragged:
    """Ids of every title; a title of which nothing is left is one unknown token.

    Args:
        stop_words: left out, or in mode "unknown" read as any word that is not in the dictionary.
    """
    skipped = stop_words if mode == "skip" else frozenset()
    kept = ([token for token in tokens if token not in skipped] for tokens in token_lists)
    return Ragged([vocabulary.encode(tokens or ["<unk>"]) for tokens in kept])


def prepared(split_seed: int, rows: int | None = None, *, min_count: int = 1, stop_words: str = "skip") -> Prepared:
    """The titles prepared with a configuration (see Config): read from disk, or built and written there.

    Raises:
        ArtifactError: what is on disk is damaged.
        SourceError, SchemaError: the titles or the stop words cannot be had or read.
    """
    config = Config(split_seed, rows, min_count, stop_words)
    frame, stopped = meli_data.titles(rows), stopwords_es()
    identity = asdict(config) | {
        "data": frame.attrs["sha256"],
        "titles": len(frame),
        "stop_word_list": _digest(sorted(stopped)),
        "code": code_hash(*CODE, Path(__file__)),
        "versions": {name: settings.versions()[name] for name in ("gensim", "numpy", "scikit-learn")},
    }
    folder = settings.artifacts_dir() / "meli" / _digest(identity)[:12]
    tensors, content = _stored(folder, lambda: _encode(frame, config, stopped, identity))
    return Prepared(
        config, folder, Vocabulary(content["words"]), _ragged(tensors["values"].numpy(), tensors["lengths"].numpy()),
        tensors["targets"].numpy(), Parts(*(tensors[side].numpy() for side in ("train", "valid", "test"))),
        content["categories"],
    )  # fmt: skip


def _encode(frame: pd.DataFrame, config: Config, stop_words: frozenset[str], identity: dict) -> tuple[dict, dict]:
    token_lists = [clean_tokens(title) for title in frame["title"]]
    parts = meli_data.partitions(frame, config.split_seed)
    counted = ([token for token in token_lists[i] if token not in stop_words] for i in parts.train)
    vocabulary = Vocabulary.build(counted, min_count=config.min_count)
    tokens = encode_titles(token_lists, vocabulary, stop_words, config.stop_words)
    values, _ = tokens.take(np.arange(len(tokens)))
    arrays = {"values": values, "lengths": tokens.lengths, "targets": frame["target"].to_numpy(np.int64)}
    arrays |= {"train": parts.train, "valid": parts.valid, "test": parts.test}
    content = {
        "words": vocabulary.tokens[UNKNOWN + 1 :],
        "categories": meli_data.categories(frame),
        "identity": identity,
    }
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, content


def _stored(folder: Path, build: Callable[[], tuple[dict, dict]]) -> tuple[dict[str, torch.Tensor], dict]:
    """Read a folder, or build and write it; tensors and JSON are verified when read."""
    if not (folder / DESCRIPTION).is_file():
        tensors, content = build()
        save_checkpoint(folder, tensors, content | {"content": _digest(content)})
    try:
        tensors, content = load_checkpoint(folder)
        del content["sha256"]  # of the tensors, checked by load_checkpoint
        if content.pop("content", None) != _digest(content):
            raise CheckpointError(f"{DESCRIPTION} is not what was written")
    except CheckpointError as error:
        name = folder.relative_to(settings.artifacts_dir())
        raise ArtifactError(f"artifact {name} is damaged: delete that folder, it is built again ({error})") from error
    return tensors, content


def _ragged(values: np.ndarray, lengths: np.ndarray) -> Ragged:
    return Ragged(np.split(values, np.cumsum(lengths)[:-1]))


def _epochs(kind: str) -> int:
    return settings.pick(quick=2, full=EPOCHS[kind])


def _digest(content) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
