"""What the batches of a pass gave, put together as they come."""

from torch import Tensor


class Seen:
    """Rows, outputs and targets of all batches so far, each in one array that doubles when it is full.

    A tensor kept for each batch would be cheaper to write, but thousands of small ones, laid between the large ones
    that every step takes and frees, scatter the heap: 4.9 million titles took 7 GB that way.
    """

    def __init__(self):
        self._arrays: dict[str, Tensor] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *, rows: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Those of a batch: rows (n,), outputs (n, ...), targets (n,)."""
        end = self._count + len(rows)
        for name, part in {"rows": rows, "outputs": outputs, "targets": targets}.items():
            array = self._arrays.get(name)
            if array is None or len(array) < end:
                self._arrays[name] = part.new_empty(max(end, 2 * self._count), *part.shape[1:])
                if array is not None:
                    self._arrays[name][: self._count] = array[: self._count]
            self._arrays[name][self._count : end] = part
        self._count = end

    def parts(self) -> dict[str, Tensor]:
        """name -> (len(self), ...), in the order they came in.

        Raises:
            ValueError: nothing has come in.
        """
        if not self._count:
            raise ValueError("no batch: the data set is empty")
        return {name: array[: self._count] for name, array in self._arrays.items()}
