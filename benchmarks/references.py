"""The references that we are compared with: the course's recipe, and packed recurrences on random batches."""

import copy
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import torch
from gensim.parsing import preprocessing
from nltk.tokenize import word_tokenize
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, Dataset

from helpers.model.networks import Encoded, RecurrentEncoder

BATCH_SIZE = 128
PAD, UNKNOWN = 0, 1
FILTERS = (
    str.lower,
    preprocessing.strip_tags,
    preprocessing.split_alphanum,
    preprocessing.strip_punctuation,
    preprocessing.strip_non_alphanum,
    preprocessing.strip_multiple_whitespaces,
    preprocessing.strip_numeric,
    lambda text: preprocessing.strip_short(text, minsize=3),
)


def filtered(title: str) -> str:
    """gensim's filters, one by one."""
    for change in FILTERS:
        title = change(title)
    return title


def clean(titles: pd.Series) -> pd.Series:
    """Filters, then nltk's tokenizer, title by title.

    preserve_line skips nltk's search for sentences, which needs a model of its own and would make this slower.
    """
    return titles.apply(filtered).apply(lambda title: word_tokenize(title, preserve_line=True))


class CourseTitles(Dataset):
    """A list of ids and a target for every title, read one by one."""

    def __init__(self, sequences: Sequence[list[int]], targets: Sequence[int]):
        self.sequences, self.targets = sequences, targets

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, row: int) -> tuple[list[int], int]:
        return self.sequences[row], self.targets[row]


def pad_batch(items: Sequence[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    """The course's PadSequences: tokens (batch, longest) and targets (batch,)."""
    sequences, targets = zip(*items, strict=True)
    longest = max(map(len, sequences))
    padded = [ids + [PAD] * (longest - len(ids)) for ids in sequences]
    return torch.LongTensor(padded), torch.LongTensor(targets)


def course_loader(data: CourseTitles, *, generator: torch.Generator | None = None) -> DataLoader:
    """Padded batches of 128, at random where a generator is given."""
    return DataLoader(data, BATCH_SIZE, shuffle=generator is not None, generator=generator, collate_fn=pad_batch)


class CourseClassifier(nn.Module):
    """Embedding, nn.LSTM over the padded batch, linear layer on the last states of both directions.

    It knows no lengths: the forward direction ends, and the backward one begins, in the padding.
    """

    def __init__(self, num_tokens: int, num_classes: int, *, dim=300, hidden_size=128, freeze=False, dropout=0.1):
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, dim, padding_idx=PAD)
        self.embedding.weight.requires_grad_(not freeze)
        self.lstm = nn.LSTM(dim, hidden_size, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * hidden_size, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (batch, time) -> logits (batch, classes)."""
        _, (hidden, _) = self.lstm(self.dropout(self.embedding(tokens)))
        return self.output(self.dropout(torch.cat([hidden[0], hidden[1]], -1)))


def course_adam(model: nn.Module) -> torch.optim.Adam:
    """Dense Adam over all parameters that train."""
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)


def train_batches(model: CourseClassifier, loader: Iterable, optimizer: torch.optim.Optimizer) -> int:
    """The training loop; returns the number of titles."""
    model.train()
    criterion, total, seen = nn.CrossEntropyLoss(), 0.0, 0
    for tokens, targets in loader:
        optimizer.zero_grad()
        loss = criterion(model(tokens), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
        seen += len(targets)
    return seen


@torch.no_grad()
def predict(model: CourseClassifier, titles: pd.Series, index: Mapping[str, int], stop_words: frozenset[str]) -> Tensor:
    """(titles,) classes of raw titles: the recipe's cleaning, look-up, padded batches in the given order."""
    model.eval()
    kept = clean(titles).apply(lambda words: [index.get(word, UNKNOWN) for word in words if word not in stop_words])
    data = CourseTitles([ids or [UNKNOWN] for ids in kept], [0] * len(kept))
    return torch.cat([model(tokens).argmax(-1) for tokens, _ in course_loader(data)])


class PackedRecurrence(nn.Module):
    """torch's recurrence over a PackedSequence, with the weights of the RecurrentEncoder that it replaces."""

    def __init__(self, encoder: RecurrentEncoder):
        super().__init__()
        one, layers = encoder.layers[0][0], len(encoder.layers)
        self.directions = len(encoder.layers[0])
        self.recurrence = type(one)(
            one.input_size, one.hidden_size, num_layers=layers, batch_first=True,
            bidirectional=self.directions == 2, dropout=encoder.dropout.p if layers > 1 else 0.0,
        )  # fmt: skip
        weights = {
            name.replace("_l0", f"_l{depth}") + suffix: weight.detach().clone()
            for depth, layer in enumerate(encoder.layers)
            for direction, suffix in zip(layer, ("", "_reverse"), strict=False)
            for name, weight in direction.named_parameters()
        }
        self.recurrence.load_state_dict(weights)
        self.output_size = encoder.output_size

    def forward(self, inputs: Tensor, lengths: Tensor) -> Encoded:
        """As RecurrentEncoder.forward()."""
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, state = self.recurrence(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.size(1))
        hidden, cell = state if isinstance(state, tuple) else (state, None)
        last = [None if part is None else torch.cat(list(part[-self.directions :]), -1) for part in (hidden, cell)]
        return Encoded(outputs, *last)


def packed_twin(network: nn.Module) -> nn.Module:
    """A copy of a network of ours, same weights, that runs packed."""
    twin = copy.deepcopy(network)
    found = [(m, name, child) for m in twin.modules() for name, child in m.named_children()]
    for module, name, child in found:
        if isinstance(child, RecurrentEncoder):
            setattr(module, name, PackedRecurrence(child))
    return twin
