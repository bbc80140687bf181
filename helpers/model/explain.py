"""Looking inside a trained network: gradients through time, and what each word adds to a score.

Which words an answer rests on: how far it falls when one of them is left out.

Occlusion (Zeiler and Fergus 2014, arXiv:1311.2901; for words Li, Monroe and Jurafsky 2016, arXiv:1612.08220): it asks
the model itself and nothing else, whatever it is made of.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from helpers.data.batching import EncodedTexts


def gradient_by_distance(network: nn.Module, data: EncodedTexts, *, steps: int, max_rows: int = 256) -> np.ndarray:
    """How much the loss feels a token, by its distance from the end of the text.

    The quantity of Pascanu et al. 2013 ("On the difficulty of training recurrent neural networks", arXiv:1211.5063)
    read at the input: the Euclidean norm of d loss / d token vector. Every text is cut to its last `steps` tokens, so
    that each distance is averaged over the same texts.

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
    batch = data.__getitems__(rows)
    with torch.no_grad():
        embedded = network.embedding(batch)
    ends = batch.lengths.unsqueeze(1) - steps + torch.arange(steps)  # (rows, steps)
    tail = embedded[torch.arange(len(rows)).unsqueeze(1), ends].requires_grad_()
    logits = network.scores(tail, torch.full((len(rows),), steps))
    loss = nn.functional.cross_entropy(logits, batch.targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, tail)
    return gradient.norm(dim=-1).mean(0).flip(0).numpy()


def token_occlusion(network: nn.Module, data: EncodedTexts, row: int, label: int = 1) -> np.ndarray:
    """What each token of a text adds to the log-odds of a class: score with it minus score with its vector set to 0.

    Returns:
        (tokens,) differences of log p / (1 - p); positive where the token speaks for the class.
    """
    network.eval()
    batch = data.__getitems__([row])
    length = int(batch.lengths[0])
    with torch.inference_mode():
        embedded = network.embedding(batch)
        without = embedded.repeat(length, 1, 1)
        without[torch.arange(length), torch.arange(length)] = 0
        lengths = batch.lengths.repeat(length + 1)
        odds = _log_odds(network.scores(torch.cat([embedded, without]), lengths), label)
    return (odds[0] - odds[1:]).numpy()


def _log_odds(logits: Tensor, label: int) -> Tensor:
    log_p = logits.log_softmax(-1)
    others = torch.cat([log_p[:, :label], log_p[:, label + 1 :]], -1).logsumexp(-1)
    return log_p[:, label] - others


WORDS = re.compile(r"\w+")
BETWEEN_SPACES = re.compile(r"\S+")
MAX_WORDS = 60  # of a text that are left out in turn


class Piece(NamedTuple):
    """A part of a text; `weight` is what the answer loses without it, None where it was not left out."""

    text: str
    weight: float | None


def occlusion(
    text: str, answer: Callable[[Sequence[str]], np.ndarray], *, words: re.Pattern = WORDS, max_words: int = MAX_WORDS
) -> list[Piece]:
    """Cut a text at its words and weigh each: the answer to the whole text minus the answer to the text without it.

    Args:
        answer: from n texts to (n,) numbers, the probability of one class, say; called once, with the whole text first.
        words: what counts as a word.
        max_words: words beyond this many are not weighed.

    Returns:
        Pieces that joined are the text. A negative weight: without the word the answer rises.

    Raises:
        ValueError: `answer` does not give one number per text.
    """
    spans = [match.span() for match in words.finditer(text)][:max_words]
    texts = [text, *(text[:start] + text[end:] for start, end in spans)]
    answers = np.asarray(answer(texts), dtype=float)
    if answers.shape != (len(texts),):
        raise ValueError(f"{len(texts)} texts were asked about, and the answer has the shape {answers.shape}")
    pieces, done = [], 0
    for (start, end), without in zip(spans, answers[1:], strict=True):
        pieces += [Piece(text[done:start], None), Piece(text[start:end], float(answers[0] - without))]
        done = end
    pieces.append(Piece(text[done:], None))
    return [piece for piece in pieces if piece.text]


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
