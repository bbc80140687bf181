"""MeLi titles: the corpus, its splits, and what notebook 02 prepares of them (dictionary, ids, vectors), kept on disk.

Whole set: the course's train, validation and test subsets. Slice: only its official test file is there, which is then
split 80/10/10 by a seed, stratified; a result on the slice never saw the course's training titles.

What is prepared lies under `artifacts/meli/`, in a folder named by a hash of configuration, data and tokens, and is
built when missing. Tensors are safetensors, the rest JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from helpers import settings
from helpers.data.batching import Ragged
from helpers.data.corpora import MELI_SUBSETS, load_meli
from helpers.data.sources import SourceError, obtain_first
from helpers.data.splits import Split, stratified_split
from helpers.data.text import PADDING, UNKNOWN, Vocabulary, clean_tokens, stopwords_es
from helpers.data.vectors import EPOCHS, TrainedVectors, embedding_matrix, read_vectors, train_vectors
from helpers.files import digest, hash_of, sha256_of
from helpers.model.checkpoints import DESCRIPTION, CheckpointError, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    import pandas as pd

FIRST_SPLIT_SEED = 1  # 0 is for development; reported seeds begin here
FOLDS = 5
TITLE_COLUMNS = ("title", "category", "label_quality", "split")
DIM = 300
SBW = ("sbw", "sbw-gz")
KINDS = ("sbw", *EPOCHS)
REVISION = 1  # of what is stored: raise it when the same tokens give other dictionaries, ids or vectors
STOP_WORDS = ("skip", "unknown")
SIDES = ("train", "valid", "test")


def load(rows: int | None = None) -> pd.DataFrame:
    """title, category, label_quality, split, target (categories numbered by order of appearance).

    Args:
        rows: take whole categories, drawn by a seed, up to about this many titles (profile quick: few titles of many
            categories teach nothing in the time there is); None takes all.
    """
    import pandas as pd

    frame = load_meli(columns=TITLE_COLUMNS)
    attrs = frame.attrs
    if rows is not None and rows < len(frame):
        sizes = frame["category"].value_counts().sort_index().sample(frac=1, random_state=settings.SEED)
        kept = sizes.index[sizes.cumsum() <= rows]
        if kept.empty:
            raise settings.WrongValue(f"rows={rows}: the first category drawn has {sizes.iloc[0]} titles; take more")
        frame = frame[frame["category"].isin(kept)].reset_index(drop=True)
    frame = frame.assign(target=pd.factorize(frame["category"])[0])
    frame.attrs = attrs
    return frame


def categories(frame: pd.DataFrame) -> list[str]:
    """Names of the categories in the order of their targets."""
    return frame.drop_duplicates("target").sort_values("target")["category"].tolist()


def is_whole(frame: pd.DataFrame) -> bool:
    """Are the course's three subsets there?"""
    return set(frame["split"].unique()) == set(MELI_SUBSETS)


def split(frame: pd.DataFrame, seed: int) -> Split:
    """Row numbers of the course's own subsets where they are there, whatever the seed; else 80/10/10, stratified."""
    if is_whole(frame):
        return Split(*(np.flatnonzero(frame["split"] == subset) for subset in MELI_SUBSETS))
    outer = stratified_split(frame["target"], seed=seed, test_size=0.1)
    inner = stratified_split(frame["target"].to_numpy()[outer.train], seed=seed, test_size=1 / 9)
    return Split(outer.train[inner.train], outer.train[inner.test], outer.test)


def folds(frame: pd.DataFrame, *, count: int = FOLDS, seed: int = FIRST_SPLIT_SEED) -> Iterator[tuple]:
    """(train rows, test rows) of each fold, stratified: every row is tested once."""
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    yield from splitter.split(np.zeros(len(frame)), frame["target"])


class ArtifactError(settings.UserError, RuntimeError):
    """A stored artifact that is damaged: which, and what to do."""


@dataclass(frozen=True)
class PreparedConfig:
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
        split: row numbers of the three sides.
        categories: names in order of appearance, so that categories[target] is the name.
    """

    config: PreparedConfig
    folder: Path
    vocabulary: Vocabulary
    tokens: Ragged
    targets: np.ndarray
    split: Split
    categories: list[str]

    def train_texts(self) -> list[list[str]]:
        """The training titles as words of the dictionary, unknown ones left out."""
        return [self.vocabulary.decode(ids[ids > UNKNOWN]) for ids in map(self.tokens.__getitem__, self.split.train)]

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
            made["file"] = sha256_of(obtain_first(*SBW)[0])
        else:
            made |= {"epochs": _epochs(kind), "gensim": settings.versions()["gensim"]}
        return self.folder.with_name(f"{self.folder.name}-{kind}-{hash_of(made)[:8]}")

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


def prepared(
    split_seed: int, rows: int | None = None, *, min_count: int = 1, stop_words: str = "skip",
    frame: pd.DataFrame | None = None,
) -> Prepared:  # fmt: skip
    """The titles prepared with a configuration: read from disk, or built and written there.

    Args:
        split_seed, rows, min_count, stop_words: as in PreparedConfig.
        frame: load(rows), where it is at hand.

    Raises:
        ArtifactError: what is on disk is damaged.
        SourceError, SchemaError: the titles or the stop words cannot be had or read.
    """
    config = PreparedConfig(split_seed, rows, min_count, stop_words)
    frame, stopped = load(rows) if frame is None else frame, stopwords_es()
    token_lists = [clean_tokens(title) for title in frame["title"]]
    identity = asdict(config) | {
        "data": frame.attrs["sha256"],
        "titles": len(frame),
        "stop_word_list": hash_of(sorted(stopped)),
        "tokens": digest(["\n".join(tokens) for tokens in token_lists]),  # another tokenizer has another place
        "revision": REVISION,
        "versions": {name: settings.versions()[name] for name in ("gensim", "numpy", "scikit-learn")},
    }
    folder = settings.artifacts_dir() / "meli" / hash_of(identity)[:12]
    tensors, content = _stored(folder, lambda: _encode(frame, token_lists, config, stopped, identity))
    return Prepared(
        config, folder, Vocabulary(content["words"]), _ragged(tensors["values"].numpy(), tensors["lengths"].numpy()),
        tensors["targets"].numpy(), Split(*(tensors[side].numpy() for side in SIDES)), content["categories"],
    )  # fmt: skip


def _encode(
    frame: pd.DataFrame,
    token_lists: list[list[str]],
    config: PreparedConfig,
    stop_words: frozenset[str],
    identity: dict,
) -> tuple[dict, dict]:
    sides = split(frame, config.split_seed)
    counted = ([token for token in token_lists[i] if token not in stop_words] for i in sides.train)
    vocabulary = Vocabulary.build(counted, min_count=config.min_count)
    tokens = encode_titles(token_lists, vocabulary, stop_words, config.stop_words)
    values, _ = tokens.take(np.arange(len(tokens)))
    arrays = {"values": values, "lengths": tokens.lengths, "targets": frame["target"].to_numpy(np.int64)}
    arrays |= dict(zip(SIDES, (sides.train, sides.valid, sides.test), strict=True))
    content = {"words": vocabulary.tokens[UNKNOWN + 1 :], "categories": categories(frame), "identity": identity}
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}, content


def _stored(folder: Path, build: Callable[[], tuple[dict, dict]]) -> tuple[dict[str, torch.Tensor], dict]:
    """Read a folder, or build and write it; tensors and JSON are verified when read."""
    if not (folder / DESCRIPTION).is_file():
        tensors, content = build()
        save_checkpoint(folder, tensors, content | {"content": hash_of(content)})
    try:
        tensors, content = load_checkpoint(folder)
        del content["sha256"]  # of the tensors, checked by load_checkpoint
        if content.pop("content", None) != hash_of(content):
            raise CheckpointError(f"{DESCRIPTION} is not what was written")
    except CheckpointError as error:
        name = folder.relative_to(settings.artifacts_dir())
        raise ArtifactError(f"artifact {name} is damaged: delete that folder, it is built again ({error})") from error
    return tensors, content


def _ragged(values: np.ndarray, lengths: np.ndarray) -> Ragged:
    return Ragged(np.split(values, np.cumsum(lengths)[:-1]))


def _epochs(kind: str) -> int:
    return settings.pick(quick=2, full=EPOCHS[kind])
