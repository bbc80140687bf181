"""Looking inside a trained network: gradients through time, and what each word adds to a score."""

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


def occlusion(network: nn.Module, data: EncodedTexts, row: int, label: int = 1) -> np.ndarray:
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
