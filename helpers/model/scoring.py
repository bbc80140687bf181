"""Class scores without gradients, of many texts or of one: on the CPU nothing is computed twice."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, linear

from helpers.data.batching import Batch, LengthBatches, RaggedTexts
from helpers.model.networks import TextClassifier, device_of

FEW = 16  # texts; with more of them, where no input occurs twice (features, word pairs), torch's fused LSTM is faster


@torch.inference_mode()
def class_scores(network: nn.Module, data: RaggedTexts, batch_size: int) -> Tensor:
    """The output of the network for every text, in batches of equal length; dropout off.

    On the CPU the input projection of an LSTM is computed once for each distinct word of all texts; training.evaluate,
    which runs torch's fused LSTM, gives the same numbers up to rounding.

    Args:
        data: one text or more.

    Returns:
        (len(data), classes) on the CPU, in the order of the texts.
    """
    if network.training:
        network.eval()
    device = device_of(network)
    pays = device.type == "cpu" and _is_lstm(network) and (data.type_features is None or len(data) <= FEW)
    read = ProjectedLSTM(network, data).scores if pays else network
    batches = list(LengthBatches(data.lengths, batch_size, "equal"))
    scores = torch.cat([read(data.__getitems__(rows).to(device)) for rows in batches]).cpu()
    return scores[torch.from_numpy(np.argsort(np.concatenate(batches)))]


def _is_lstm(network: nn.Module) -> bool:
    if not isinstance(network, TextClassifier) or network.encoder.packed:
        return False
    return all(isinstance(run, nn.LSTM) for layer in network.encoder.layers for run in layer)


class ProjectedLSTM:
    """The forward pass of a TextClassifier of LSTMs over texts of one length, out of plain products.

    Args:
        network: in evaluation mode.
        data: the texts that will be scored: the gates of all their distinct words are computed here.
    """

    def __init__(self, network: TextClassifier, data: RaggedTexts):
        self.network, self.layers = network, [Layer(directions) for directions in network.encoder.layers]
        self.distinct = None
        if data.type_features is None:
            self.distinct = torch.from_numpy(np.unique(data.tokens.values)).to(device_of(network))
            self.vectors = network.embedding.project(network.embedding.words(self.distinct))
            self.gates = [project(self.vectors) for project in self.layers[0].projections]

    def scores(self, batch: Batch) -> Tensor:
        """(batch, classes)."""
        embedded, gates = self._inputs(batch)
        first, *deeper = self.layers
        outputs, hidden = first.states(gates)
        for layer in deeper:
            outputs, hidden = layer.states(layer.gates(outputs))
        pooled = self.network.pooling(outputs.transpose(0, 1), hidden, batch.lengths)
        if self.network.skip:
            pooled = torch.cat([pooled, embedded().sum(0) / len(outputs) ** 0.5], -1)
        return self.network.output(self.network.dense(pooled))

    def _inputs(self, batch: Batch) -> tuple[Callable[[], Tensor], Tensor]:
        """Token vectors (time, batch, dim), made when asked for, and the gates of the first layer."""
        if self.distinct is None:
            embedded = self.network.embedding(batch).transpose(0, 1).contiguous()
            return lambda: embedded, self.layers[0].gates(embedded)
        index = torch.searchsorted(self.distinct, batch.tokens.t().contiguous())
        ways = zip(_both_ways(index), self.gates, strict=False)
        return lambda: embedding(index, self.vectors), torch.stack([embedding(way, gates) for way, gates in ways])


class Layer:
    """One or two directions of an LSTM layer (Hochreiter & Schmidhuber 1997), with torch's weights, side by side.

    Args:
        directions: forward, then backward where there is one; gates of the backward one begin with the last word.
    """

    def __init__(self, directions: Sequence[nn.LSTM]):
        self.projections = [
            partial(linear, weight=way.weight_ih_l0, bias=way.bias_ih_l0 + way.bias_hh_l0) for way in directions
        ]
        self.recurrent = torch.stack([way.weight_hh_l0 for way in directions]).transpose(1, 2)

    def gates(self, inputs: Tensor) -> Tensor:
        """(time, batch, input_size) -> (directions, time, batch, 4 * hidden): what inputs add to the four gates."""
        ways = zip(self.projections, _both_ways(inputs), strict=False)
        return torch.stack([project(way) for project, way in ways])

    def states(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """gates, to be overwritten -> all states (time, batch, directions * hidden) and the last of each direction."""
        hidden, cell, states = None, None, []
        for step in gates.unbind(1):
            if hidden is not None:
                step.baddbmm_(hidden, self.recurrent)
            inflow, keep, new, out = step.chunk(4, -1)
            step[..., : step.size(-1) // 2].sigmoid_()
            fresh = inflow * _tanh(new)
            cell = fresh if cell is None else torch.addcmul(fresh, keep, cell)
            hidden = out.sigmoid() * _tanh(cell)
            states.append(hidden)
        forward, *backward = torch.stack(states, 1)
        return torch.cat([forward, *(run.flip(0) for run in backward)], -1), torch.cat(list(hidden), -1)


def _both_ways(steps: Tensor) -> tuple[Tensor, Tensor]:
    return steps, steps.flip(0)


def _tanh(x: Tensor) -> Tensor:
    """Of large tensors as 2 sigmoid(2x) - 1: torch's tanh takes twice as long on the CPU, five times for a slice."""
    if x.numel() < 10_000:
        return x.tanh()
    y = (x + x).sigmoid_()
    return y.add_(y).sub_(1)
