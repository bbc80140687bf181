import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.model.recovery import Collected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.sampled_from([torch.int64, torch.float32]))
def test_what_batches_gave_is_put_together_in_the_order_it_came(sizes, kind):
    seen, batches = Collected(), []
    for number, size in enumerate(sizes):
        rows = torch.arange(size) + 100 * number
        batches.append((rows, (rows[:, None] * torch.tensor([1, 2])).to(kind), -rows))
        seen.add(rows=batches[-1][0], outputs=batches[-1][1], targets=batches[-1][2])
    parts = seen.parts()
    assert len(seen) == sum(sizes)
    for name, given_parts in zip(("rows", "outputs", "targets"), zip(*batches, strict=True), strict=True):
        assert torch.equal(parts[name], torch.cat(given_parts))
        assert parts[name].dtype == given_parts[0].dtype


def test_a_batch_that_changes_later_does_not_change_what_was_seen():
    seen, rows = Collected(), torch.arange(3)
    seen.add(rows=rows, outputs=rows.float(), targets=rows)
    rows += 1
    assert seen.parts()["rows"].tolist() == [0, 1, 2]


def test_many_batches_take_few_arrays():
    seen, places = Collected(), set()
    for number in range(1_000):
        seen.add(rows=torch.tensor([number]), outputs=torch.zeros(1, 5), targets=torch.zeros(1))
        places.add(seen.parts()["outputs"].data_ptr())
    assert len(places) <= 11
    assert seen.parts()["rows"].tolist() == list(range(1_000))


def test_nothing_seen_is_an_error():
    with pytest.raises(ValueError, match="no batch: the data set is empty"):
        Collected().parts()
