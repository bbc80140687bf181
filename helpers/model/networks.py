"""Networks over token sequences: embedding, recurrent encoder, pooling, and two classifiers (recurrent, averaged)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from helpers.data.batching import Batch, TokenFeatures
from helpers.data.text import PADDING

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
ACTIVATIONS = {
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(dim=-1),
    "none": nn.Identity,
}


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters of a model are (the CPU where it has none)."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def num_trainable_parameters(model: nn.Module) -> int:
    """Number of trainable parameters, as the assignment counts them."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def num_recurrent_parameters(cell: str, input_size: int, hidden_size: int, num_layers=1, bidirectional=False) -> int:
    """The closed formula: directions * gates * (hidden * input + hidden^2 + 2 * hidden), summed over layers."""
    directions = 2 if bidirectional else 1
    sizes = [input_size] + [directions * hidden_size] * (num_layers - 1)
    return sum(directions * GATES[cell] * hidden_size * (size + hidden_size + 2) for size in sizes)


def activation_layer(name: str) -> nn.Module:
    """The activation of that name.

    Raises:
        ValueError: unknown name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


class TokenEmbedding(nn.Module):
    """A vector per token: its word vector plus, with a feature table, the sum of its n features over sqrt(n).

    Args:
        num_tokens: size of the vocabulary; row 0 is padding.
        dim: size of the vector of a token.
        vectors: (num_tokens, k) initial word vectors; where k is not dim, a linear map takes them there.
        freeze: keep the word vectors as they are (the map still learns).
        num_features: size of the feature table; 0 for none. It starts at zero, so that a feature unseen in training
            adds nothing.
        word_dropout: share of positions that lose their word vector in training, and keep their features.
        feature_dropout: share of features that a token loses in training. Neither dropout rescales what remains.
        std: of the initial random vectors.
        sparse: gradients of both tables hold only the rows of the batch, for SparseAdam: large tables need it.
    """

    def __init__(
        self, num_tokens, dim, *, vectors=None, freeze=False, num_features=0, word_dropout=0.0, feature_dropout=0.0,
        std=0.1, sparse=False,
    ):  # fmt: skip
        super().__init__()
        size = dim if vectors is None else vectors.shape[1]
        self.words = nn.Embedding(num_tokens, size, padding_idx=PADDING, sparse=sparse)
        self.project = nn.Identity() if size == dim else nn.Linear(size, dim, bias=False)
        with torch.no_grad():
            self.words.weight.normal_(0, std)
            if vectors is not None:
                self.words.weight.copy_(torch.as_tensor(vectors))
            self.words.weight[PADDING] = 0
        self.words.weight.requires_grad_(not freeze)
        self.features = None
        if num_features:
            self.features = nn.EmbeddingBag(num_features, dim, mode="sum", padding_idx=PADDING, sparse=sparse)
            nn.init.zeros_(self.features.weight)
        self.word_dropout, self.feature_dropout = word_dropout, feature_dropout
        self.dim = dim

    def forward(self, batch: Batch) -> Tensor:
        """Returns (batch, time, dim)."""
        embedded = self.project(self.words(batch.tokens))
        if self.training and self.word_dropout:
            kept = torch.rand_like(batch.tokens, dtype=embedded.dtype) >= self.word_dropout
            embedded = embedded * kept.unsqueeze(-1)
        if self.features is None:
            return embedded
        return embedded + nn.functional.embedding(batch.features.index, self._distinct(batch.features))

    def _distinct(self, features: TokenFeatures) -> Tensor:
        """(distinct tokens, dim)."""
        ids = features.ids
        counts = torch.diff(features.offsets, append=features.offsets.new_tensor([len(ids)]))
        if self.training and self.feature_dropout:
            ids = ids.masked_fill(torch.rand(len(ids), device=ids.device) < self.feature_dropout, PADDING)
        return self.features(ids, features.offsets) / counts.clamp(min=1).sqrt().unsqueeze(-1)


class Encoded(NamedTuple):
    """outputs (batch, time, directions * hidden), hidden (batch, directions * hidden) of the last layer, and its cell.

    `cell` is None except for an LSTM that ran packed.
    """

    outputs: Tensor
    hidden: Tensor
    cell: Tensor | None


class RecurrentEncoder(nn.Module):
    """One state per position from vectors of unequal length.

    Each direction is its own recurrence. The backward one reads every sequence reversed within its length, so that
    neither reads padding before a token: a padded batch gives the numbers of a packed one, at dense speed.

    Args:
        input_size: size of the vectors read.
        hidden_size: units per direction.
        cell: "rnn", "gru" or "lstm".
        num_layers: recurrent layers, one on another.
        dropout: between layers.
        packed: run on PackedSequence (slower here; yields the final cell too).
    """

    def __init__(
        self, input_size, hidden_size, *, cell="lstm", num_layers=1, bidirectional=False, dropout=0.0, packed=False
    ):
        super().__init__()
        directions = 2 if bidirectional else 1
        sizes = [input_size] + [directions * hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(CELLS[cell](size, hidden_size, batch_first=True) for _ in range(directions)) for size in sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.packed = packed
        self.output_size = directions * hidden_size

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """inputs (batch, time, input_size), lengths (batch,) each at least 1."""
        # only a shortcut, with the same numbers; on CUDA the question itself would wait for the device
        equal = not lengths.is_cuda and bool((lengths == inputs.size(1)).all())
        mirror = None if equal else mirrored_positions(lengths, inputs.size(1)).unsqueeze(-1)  # (batch, time, 1)
        for depth, directions in enumerate(self.layers):
            inputs = self.dropout(inputs) if depth else inputs
            runs = [self._run(directions[0], inputs, lengths, equal)]
            if len(directions) == 2:
                outputs, *last = self._run(directions[1], _reversed(inputs, mirror), lengths, equal)
                runs.append((_reversed(outputs, mirror), *last))
            inputs, hidden, cell = (
                None if both[0] is None else torch.cat(both, -1) for both in zip(*runs, strict=True)
            )
        return Encoded(inputs, hidden, cell)

    def _run(
        self, recurrence: nn.RNNBase, inputs: Tensor, lengths: Tensor, equal: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if not self.packed:
            outputs, _ = recurrence(inputs)
            every = torch.arange(len(outputs), device=outputs.device)
            return outputs, outputs[:, -1] if equal else outputs[every, lengths - 1], None
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = recurrence(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.size(1))
        hidden, cell = state if isinstance(state, tuple) else (state, None)
        return outputs, hidden[-1], None if cell is None else cell[-1]


def mirrored_positions(lengths: Tensor, time: int) -> Tensor:
    """(batch, time): position t of a sequence of length n maps to n - 1 - t; padding stays where it is."""
    positions = torch.arange(time, device=lengths.device).expand(len(lengths), time)
    ends = lengths.unsqueeze(1)
    return torch.where(positions < ends, ends - 1 - positions, positions)


def _reversed(states: Tensor, mirror: Tensor | None) -> Tensor:
    """Each sequence reversed within its length; without a mirror all are as long as the batch."""
    return states.flip(1) if mirror is None else states.gather(1, mirror.expand_as(states))


class Pooling(nn.Module):
    """One vector per text from the states of its positions; only "end" reads padding.

    Args:
        kind: "last", "mean", "max", "attention", or several joined by "+", as "max+mean". "end" is the state at the end
            of the padded batch, which a recurrence returns if it does not know the lengths: a mistake, kept to be
            measured.
        size: size of a state.
    """

    KINDS = ("last", "mean", "max", "attention", "end")

    def __init__(self, kind: str, size: int):
        super().__init__()
        self.kinds = kind.split("+")
        if not set(self.kinds) <= set(self.KINDS):
            raise ValueError(f"pooling {kind!r} is not made of {', '.join(self.KINDS)}")
        self.attention = nn.Linear(size, 1) if "attention" in self.kinds else None
        self.output_size = size * len(self.kinds)

    def forward(self, outputs: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
        """outputs (batch, time, size), hidden (batch, size) -> (batch, output_size)."""
        mask = torch.arange(outputs.size(1), device=lengths.device) < lengths.unsqueeze(1)
        pooled = []
        for kind in self.kinds:
            if kind == "last":
                pooled.append(hidden)
            elif kind == "end":
                pooled.append(outputs[:, -1])
            elif kind == "mean":
                pooled.append((outputs * mask.unsqueeze(-1)).sum(1) / lengths.unsqueeze(-1))
            elif kind == "max":
                pooled.append(outputs.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1))
            else:
                scores = self.attention(outputs).squeeze(-1).masked_fill(~mask, -torch.inf)
                pooled.append((scores.softmax(-1).unsqueeze(1) @ outputs).squeeze(1))
        return torch.cat(pooled, -1)


class TextClassifier(nn.Module):
    """Embedding, recurrence, pooling, optional dense layer, one score per class (no softmax: the loss has it).

    Args:
        embedding: maps a Batch to (batch, time, embedding.dim).
        encoder: maps that to states.
        pooling: "last", "max+mean", …
        num_classes: size of the output.
        dense: units of the layer between pooling and output; 0 for none.
        activation: of that layer.
        dropout: on the embedded tokens and before each linear layer.
        skip: the sum of the embedded tokens over sqrt(length) joins the pooled states: a linear model beside the
            recurrent one (wide and deep: Cheng et al. 2016, arXiv:1606.07792).

    Example:
        >>> embedding = TokenEmbedding(1000, 50)
        >>> logits = TextClassifier(embedding, RecurrentEncoder(50, 80), num_classes=2)(batch)
    """

    def __init__(
        self, embedding: TokenEmbedding, encoder: RecurrentEncoder, *, num_classes, pooling="last", dense=0,
        activation="relu", dropout=0.0, skip=False,
    ):  # fmt: skip
        super().__init__()
        self.embedding, self.encoder = embedding, encoder
        self.pooling = Pooling(pooling, encoder.output_size)
        self.dropout = nn.Dropout(dropout)
        self.skip = skip
        size = self.pooling.output_size + (embedding.dim if skip else 0)
        layer = activation_layer(activation)
        self.dense = nn.Sequential(nn.Linear(size, dense), layer, nn.Dropout(dropout)) if dense else nn.Identity()
        self.output = nn.Linear(dense or size, num_classes)

    def forward(self, batch: Batch) -> Tensor:
        """Returns logits (batch, num_classes)."""
        return self.scores(self.embedding(batch), batch.lengths)

    def scores(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Token vectors (batch, time, dim) and lengths (batch,) to logits (batch, num_classes)."""
        embedded = self.dropout(embedded)
        outputs, hidden, _ = self.encoder(embedded, lengths)
        pooled = self.pooling(outputs, hidden, lengths)
        if self.skip:
            inside = torch.arange(embedded.size(1), device=lengths.device) < lengths.unsqueeze(1)
            total = (embedded * inside.unsqueeze(-1)).sum(1)
            pooled = torch.cat([pooled, total / lengths.sqrt().unsqueeze(-1)], -1)
        return self.output(self.dense(self.dropout(pooled)))


class MLPClassifier(nn.Module):
    """Mean of the token vectors, hidden layers, one score per class (no softmax: the loss has it).

    Without hidden layers it is the linear classifier over averaged vectors of Joulin et al. 2017 (arXiv:1607.01759).

    Args:
        embedding: maps a Batch to (batch, time, embedding.dim).
        num_classes: size of the output.
        hidden_sizes: units of each hidden layer.
        activation: of the hidden layers.
        dropout: on the mean and after each hidden layer.
    """

    def __init__(
        self, embedding: TokenEmbedding, *, num_classes: int, hidden_sizes=(256,), activation="relu", dropout=0.0
    ):
        super().__init__()
        self.embedding = embedding
        self.pooling = Pooling("mean", embedding.dim)
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        sizes = [embedding.dim, *hidden_sizes]
        for before, after in zip(sizes, hidden_sizes, strict=False):
            layers += [nn.Linear(before, after), activation_layer(activation), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], num_classes))

    def forward(self, batch: Batch) -> Tensor:
        """Returns logits (batch, num_classes)."""
        embedded = self.embedding(batch)
        return self.layers(self.pooling(embedded, torch.empty(0), batch.lengths))
