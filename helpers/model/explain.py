"""Looking inside a trained network: gradients through time, and what each word adds to an answer."""

import re
from collections.abc import Callable, Sequence
from itertools import compress, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from helpers.data.batching import EncodedTexts
from helpers.model.networks import device_of

WORDS = re.compile(r"\w+")
BETWEEN_SPACES = re.compile(r"\S+")
MAX_WORDS = 60  # of a text that are left out in turn


def gradient_by_distance(network: nn.Module, data: EncodedTexts, *, steps: int, max_rows: int = 256) -> np.ndarray:
    """How much the loss depends on a token, by its distance from the end of the text.

    The quantity of Pascanu et al. 2013 ("On the difficulty of training recurrent neural networks", arXiv:1211.5063)
    at the input: the Euclidean norm of d loss / d token vector. Every text is cut to its last `steps` tokens, so that
    each distance is averaged over the same texts.

    Args:
        network: has embedding(batch) and scores(embedded, lengths).
        data: only its texts of at least `steps` tokens are used, at most max_rows of them.
        steps: number of distances.

    Returns:
        (steps,) mean norm; entry 0 belongs to the last token.

    Raises:
        ValueError: no text is that long.
    """
    rows = np.flatnonzero(data.lengths >= steps)[:max_rows]
    if len(rows) == 0:
        raise ValueError(f"no text has {steps} tokens; the longest has {data.lengths.max(initial=0)}")
    network.eval()
    device = device_of(network)
    batch = data.__getitems__(rows).to(device)
    with torch.no_grad():
        embedded = network.embedding(batch)
    ends = batch.lengths.unsqueeze(1) - steps + torch.arange(steps, device=device)  # (rows, steps)
    tail = embedded[torch.arange(len(rows), device=device).unsqueeze(1), ends].requires_grad_()
    with torch.backends.cudnn.flags(enabled=False):  # its recurrences have no gradient in evaluation mode
        logits = network.scores(tail, torch.full((len(rows),), steps, device=device))
    loss = nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, tail)
    return gradient.norm(dim=-1).mean(0).flip(0).cpu().numpy()


def occlusion(count: int, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What each piece of an input adds to a score: with all pieces, minus without that one.

    Zeiler & Fergus 2014 (arXiv:1311.2901); for words Li, Monroe & Jurafsky 2016 (arXiv:1612.08220). It asks the model
    and nothing else, whatever the model is made of.

    Args:
        count: pieces (words, tokens).
        score: from (count + 1, count) booleans, the pieces that are kept, to (count + 1,) numbers; called once, with
            all pieces in the first row.

    Returns:
        (count,) differences; negative where the score rises without the piece.

    Raises:
        ValueError: `score` does not return one number per row.
    """
    scores = np.asarray(score(~np.eye(count + 1, count, k=-1, dtype=bool)))
    if scores.shape != (count + 1,):
        raise ValueError(f"{count + 1} inputs were to be scored, and the answer has the shape {scores.shape}")
    return scores[0] - scores[1:]


def token_occlusion(network: nn.Module, data: EncodedTexts, row: int, label: int = 1) -> np.ndarray:
    """What each token of a text adds to the log-odds of a class; left out, its vector is 0 and its place remains.

    Returns:
        (tokens,) differences of log p / (1 - p); positive where the token speaks for the class.
    """
    network.eval()
    batch = data.__getitems__([row]).to(device_of(network))
    length = int(batch.lengths[0])

    def score(kept: np.ndarray) -> np.ndarray:
        mask = torch.from_numpy(kept).to(batch.tokens.device).unsqueeze(-1)
        vectors = network.embedding(batch).where(mask, 0.0)
        return _log_odds(network.scores(vectors, batch.lengths.repeat(len(kept))), label).cpu().numpy()

    with torch.inference_mode():
        return occlusion(length, score)


def _log_odds(logits: Tensor, label: int) -> Tensor:
    log_p = logits.log_softmax(-1)
    others = torch.cat([log_p[:, :label], log_p[:, label + 1 :]], -1).logsumexp(-1)
    return log_p[:, label] - others


class Piece(NamedTuple):
    """A part of a text; `weight` is what the answer loses without it, None where it was not left out."""

    text: str
    weight: float | None


def word_occlusion(
    text: str, answer: Callable[[Sequence[str]], np.ndarray], *, words: re.Pattern = WORDS, max_words: int = MAX_WORDS
) -> list[Piece]:
    """Cut a text at its words and weigh each by occlusion().

    Args:
        answer: from n texts to (n,) numbers (the probability of one class, say).
        words: what counts as a word.
        max_words: words beyond this many are not weighed.

    Returns:
        Pieces that joined are the text.

    Example:
        >>> word_occlusion("gana un premio", lambda texts: model.predict_proba(texts)[:, 1])
    """
    spans = [match.span() for match in words.finditer(text)][:max_words]
    cuts = [0, *(edge for span in spans for edge in span), len(text)]
    parts = [text[start:end] for start, end in pairwise(cuts)]  # words are those of odd number

    def score(kept: np.ndarray) -> np.ndarray:
        shown = np.ones((len(kept), len(parts)), dtype=bool)
        shown[:, 1::2] = kept
        return np.asarray(answer(["".join(compress(parts, row)) for row in shown]), dtype=float)

    weights = iter(occlusion(len(spans), score).tolist())
    return [Piece(part, next(weights) if i % 2 else None) for i, part in enumerate(parts) if i % 2 or part]


def strongest(pieces: Sequence[Piece]) -> Piece | None:
    """The piece whose weight is largest in size, the first of several; None where nothing was weighed."""
    weighed = [piece for piece in pieces if piece.weight is not None]
    return max(weighed, key=lambda piece: abs(piece.weight), default=None)


def relative(pieces: Sequence[Piece]) -> list[Piece]:
    """The weights as shares, -1 to 1, of the largest in size; all None where every weight is 0."""
    most = strongest(pieces)
    if most is None or most.weight == 0:
        return [Piece(piece.text, None) for piece in pieces]
    size = abs(most.weight)
    return [piece if piece.weight is None else Piece(piece.text, piece.weight / size) for piece in pieces]
