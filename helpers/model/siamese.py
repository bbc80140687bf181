"""Siamese networks: one encoder reads both sentences, a symmetric head compares the vectors; and their losses."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax, mse_loss

from helpers.data.batching import NO_LABEL, SentenceBatch
from helpers.model.networks import Encoded, Pooling, RecurrentEncoder, TokenEmbedding, activation_layer

SCORES = 5  # relatedness runs from 1 to SCORES


def pairwise_ranking_loss(distance: Tensor, y: Tensor, margin: float, *, power: int = 1) -> Tensor:
    """Pairwise ranking loss, as the assignment writes it: y d + (1 - y) max(0, m - d), mean over pairs.

    With y in {0, 1}, similar pairs are drawn together and the others pushed m apart (power=2: twice the loss of
    Hadsell, Chopra & LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping").

    With a graded y and power=1 the loss of a pair is linear in d up to m, with slope 2y - 1: its minimum is at d = 0
    for every y > 1/2 and at d = m for every y < 1/2, as if y were rounded. With power=2 it is at d = (1 - y) m.

    Args:
        distance: (n,) Euclidean distance d of the two sentence vectors.
        y: (n,) 1 similar, 0 not; or a grade between.
        margin: m > 0.
        power: 1, or 2 for squared distance and squared hinge.

    Raises:
        ValueError: margin not above 0.
    """
    _check_margin(margin)
    apart = (margin - distance).clamp(min=0)
    return (y * distance.pow(power) + (1 - y) * apart.pow(power)).mean()


def triplet_ranking_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Triplet ranking loss, as the assignment writes it: max(0, m - (||a - n|| - ||a - p||)), mean over triplets.

    Args:
        anchor, positive, negative: (n, d) vectors; Euclidean distances.
        margin: m > 0.

    Raises:
        ValueError: margin not above 0.
    """
    _check_margin(margin)
    far, near = euclidean_distance(anchor, negative), euclidean_distance(anchor, positive)
    return (margin - (far - near)).clamp(min=0).mean()


def similarity_mse_loss(similarity: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of a similarity in 0..1 against y = (relatedness - 1) / 4 (Mueller & Thyagarajan 2016).

    Args:
        similarity, y: (n,).
    """
    return mse_loss(similarity, y)


def score_distribution(y: Tensor, scores: int = SCORES) -> Tensor:
    """Sparse target distribution over the scores 1..K whose mean is the relatedness (Tai et al. 2015, section 4.2).

    A relatedness between two whole scores is shared by these two, the nearer one taking more.

    Args:
        y: (n,) relatedness from 1 to `scores`.

    Returns:
        (n, scores), rows summing to 1.

    Raises:
        ValueError: a relatedness outside the scale (not checked on CUDA, where every step would wait for the answer).
    """
    if not y.is_cuda and len(y) and not (y.min() >= 1 and y.max() <= scores):
        raise ValueError(f"relatedness from {y.min():.3f} to {y.max():.3f}: it must lie between 1 and {scores}")
    steps = torch.arange(1, scores + 1, device=y.device)
    return (1 - (y.unsqueeze(-1) - steps).abs()).clamp(min=0)


def expected_score(logits: Tensor) -> Tensor:
    """Mean of the predicted distribution over the scores 1..K: (n, K) logits to (n,) relatedness."""
    return logits.softmax(-1) @ torch.arange(1, logits.size(-1) + 1, dtype=logits.dtype, device=logits.device)


def relatedness_kl_loss(logits: Tensor, y: Tensor) -> Tensor:
    """KL(score_distribution(y) || predicted), mean over pairs (Tai et al. 2015, section 4.2).

    Args:
        logits: (n, K) one per score.
        y: (n,) relatedness from 1 to K.
    """
    target = score_distribution(y, logits.size(-1))
    return (torch.xlogy(target, target) - target * log_softmax(logits, -1)).sum(-1).mean()


def entailment_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the pairs that have a label; 0 where none has.

    Args:
        logits: (n, classes).
        labels: (n,) class, or NO_LABEL.
    """
    labelled = labels >= 0
    if labels.is_cuda:  # without indexing by a mask, which would wait for the device
        total = cross_entropy(logits, labels.where(labelled, NO_LABEL), ignore_index=NO_LABEL, reduction="sum")
        return total / labelled.sum().clamp(min=1)
    if not labelled.any():
        return logits.sum() * 0
    return cross_entropy(logits[labelled], labels[labelled])


def euclidean_distance(first: Tensor, second: Tensor) -> Tensor:
    """||u - v|| of every row, (n,); its gradient at distance 0 is 0, not NaN."""
    return torch.linalg.vector_norm(first - second, dim=-1)


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin={margin}: must be above 0")


def symmetric_features(first, second):
    """|u - v| and u * v side by side, the same for (v, u): (n, d), (n, d) -> (n, 2d), of tensors or of arrays."""
    join = np.concatenate if isinstance(first, np.ndarray) else torch.cat
    return join([abs(first - second), first * second], -1)


class RowDropout(nn.Module):
    """Dropout with one mask for all sentences of a row, and for all words of a sentence.

    With a mask for each sentence, two equal sentences would differ in training (|u - v| far above 0) and not later,
    and a head would learn differences that never occur. (One mask for all words: Gal & Ghahramani 2016.)

    Args:
        p: share of the dimensions that are dropped.
    """

    def __init__(self, p: float):
        super().__init__()
        self.mask = nn.Dropout(p)

    def forward(self, values: Tensor, rows: int) -> Tensor:
        """values (parts * rows, ..., size), the same shape back."""
        if not self.training or self.mask.p == 0:
            return values
        mask = self.mask(values.new_ones(rows, *[1] * (values.dim() - 2), values.size(-1)))
        return values * mask.repeat(len(values) // rows, *[1] * (values.dim() - 1))


class SiameseEncoder(nn.Module):
    """A vector per sentence: word vectors, recurrence, pooling. It does not see the other sentence.

    Args:
        embedding: word vectors, frozen or trained, with or without a linear map behind them.
        encoder: the recurrence.
        pooling: "last", "mean", "max", "max+mean", …
        input_dropout: RowDropout on the word vectors.
        dropout: RowDropout on the sentence vector.
        averaged: the recurrence reads one vector, the mean of the word vectors (the assignment's encoding of a
            sentence), instead of one per word.
        skip: the mean word vector joins the pooled states.
        normalize: sentence vectors of length 1.
    """

    def __init__(
        self, embedding: TokenEmbedding, encoder: RecurrentEncoder, *, pooling="max", input_dropout=0.0, dropout=0.0,
        averaged=False, skip=False, normalize=False,
    ):  # fmt: skip
        super().__init__()
        self.embedding, self.encoder = embedding, encoder
        self.pooling = Pooling(pooling, encoder.output_size)
        self.input_dropout, self.dropout = RowDropout(input_dropout), RowDropout(dropout)
        self.averaged, self.skip, self.normalize = averaged, skip, normalize
        self.output_size = self.pooling.output_size + (embedding.dim if skip else 0)

    def states(self, batch: SentenceBatch) -> Encoded:
        """All hidden states, the last one and (if the recurrence runs packed) the last cell of every sentence."""
        return self.encoder(*self._read(batch))

    def forward(self, batch: SentenceBatch) -> Tensor:
        """Returns (parts * B, output_size), in the order of batch.tokens."""
        inputs, lengths = self._read(batch)
        outputs, hidden, _ = self.encoder(inputs, lengths)
        vectors = self.pooling(outputs, hidden, lengths)
        if self.skip:
            vectors = torch.cat([vectors, _mean(inputs, lengths)], dim=-1)
        vectors = self.dropout(vectors, len(batch))
        return nn.functional.normalize(vectors, dim=-1) if self.normalize else vectors

    def _read(self, batch: SentenceBatch) -> tuple[Tensor, Tensor]:
        embedded, lengths = self.embedding(batch), batch.lengths
        if self.averaged:
            embedded, lengths = _mean(embedded, lengths).unsqueeze(1), torch.ones_like(lengths)
        return self.input_dropout(embedded, len(batch)), lengths


def _mean(embedded: Tensor, lengths: Tensor) -> Tensor:
    """(n, size) mean word vectors; padding is a row of zeros, which adds nothing to a sum."""
    return embedded.sum(1) / lengths.unsqueeze(-1)


class ManhattanHead(nn.Module):
    """exp(-||u - v||_1), in (0, 1] (MaLSTM, Mueller & Thyagarajan 2016)."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, d), (B, d) -> (B,)."""
        return torch.exp(-(first - second).abs().sum(-1))

    def similarity(self, outputs: Tensor) -> Tensor:
        """The outputs themselves."""
        return outputs


class CosineHead(nn.Module):
    """Cosine of the two vectors, in [-1, 1]."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, d), (B, d) -> (B,)."""
        return torch.cosine_similarity(first, second, dim=-1)

    def similarity(self, outputs: Tensor) -> Tensor:
        """The outputs themselves."""
        return outputs


class EuclideanHead(nn.Module):
    """Distance ||u - v||, at least 0.

    Args:
        margin: the distance that means similarity 0.
    """

    def __init__(self, margin: float):
        super().__init__()
        self.margin = margin

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, d), (B, d) -> (B,)."""
        return euclidean_distance(first, second)

    def similarity(self, outputs: Tensor) -> Tensor:
        """1 - distance / margin: 1 for equal vectors, below 0 beyond the margin."""
        return 1 - outputs / self.margin


class DistributionHead(nn.Module):
    """Scores 1..5 as a distribution, from |u - v| and u * v through one layer (Tai et al. 2015, section 4.2).

    Args:
        size: of a sentence vector.
        hidden: units of the layer.
        activation: of the layer; the paper's is "sigmoid".
        dropout: on the features and on the layer.
    """

    def __init__(self, size: int, hidden: int = 50, *, activation: str = "sigmoid", dropout: float = 0.0):
        super().__init__()
        first, last = nn.Linear(2 * size, hidden), nn.Linear(hidden, SCORES)
        layer = activation_layer(activation)
        self.layers = nn.Sequential(nn.Dropout(dropout), first, layer, nn.Dropout(dropout), last)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, d), (B, d) -> (B, 5) logits."""
        return self.layers(symmetric_features(first, second))

    def similarity(self, outputs: Tensor) -> Tensor:
        """(mean score - 1) / 4."""
        return (expected_score(outputs) - 1) / (SCORES - 1)


class SiameseNetwork(nn.Module):
    """One encoder for all sentences of a row, and a head that compares them: f(a, b) = f(b, a).

    Args:
        encoder: shared by both sides.
        head: symmetric in its arguments.
        classes: of a second, linear head for entailment on symmetric_features(); 0 for none.

    Example:
        >>> network = SiameseNetwork(encoder, ManhattanHead())
        >>> similarity = network.similarity(network(batch))
    """

    def __init__(self, encoder: SiameseEncoder, head: nn.Module, *, classes: int = 0):
        super().__init__()
        self.encoder, self.head = encoder, head
        self.entailment = nn.Linear(2 * encoder.output_size, classes) if classes else None

    def vectors(self, batch: SentenceBatch) -> Tensor:
        """(parts, B, d) sentence vectors, from one call of the encoder."""
        return self.encoder(batch).unflatten(0, (batch.parts, len(batch)))

    def forward(self, batch: SentenceBatch) -> Tensor:
        """The output of the head for every pair, (B,) or (B, 5)."""
        return self.head(*self.vectors(batch))

    def similarity(self, outputs: Tensor) -> Tensor:
        """(B,) from the outputs of forward(): 1 the same, 0 unrelated."""
        return self.head.similarity(outputs)


def set_forget_bias(encoder: RecurrentEncoder, value: float) -> None:
    """Open the forget gates of a fresh LSTM: their bias becomes `value` (2.5 in Mueller & Thyagarajan 2016)."""
    for recurrence in (recurrence for directions in encoder.layers for recurrence in directions):
        size = recurrence.hidden_size
        with torch.no_grad():
            recurrence.bias_ih_l0[size : 2 * size] = value
            recurrence.bias_hh_l0[size : 2 * size] = 0


def copy_recurrence(source: nn.RNNBase, encoder: RecurrentEncoder, layer: int = 0) -> None:
    """Give a layer of `encoder` the weights of a one-layer nn.LSTM (nn.GRU, nn.RNN), so that both give equal states.

    Raises:
        ValueError: another number of layers or directions, or other sizes.
    """
    directions = encoder.layers[layer]
    if source.num_layers != 1 or len(directions) != (2 if source.bidirectional else 1):
        raise ValueError(f"{source} has other layers or directions than layer {layer} of the encoder")
    for recurrence, suffix in zip(directions, ("", "_reverse"), strict=False):
        weights = source.state_dict()
        mine = {name: weights.get(name + suffix) for name in recurrence.state_dict()}
        if any(tensor is None or tensor.shape != recurrence.state_dict()[name].shape for name, tensor in mine.items()):
            raise ValueError(f"{source} has other sizes than layer {layer} of the encoder")
        recurrence.load_state_dict(mine)
