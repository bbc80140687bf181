"""A trainer that trains nothing and remembers what it was to train."""

from torch import nn

from helpers.model.training import History


class Recorder:
    """Passed as `trainer` to fit or train: holds the arguments of every call in `calls`."""

    def __init__(self):
        self.calls = []

    def __call__(self, network, loaders, step, *, optimizers, schedulers=(), **options):
        options |= {"network": network, "loaders": loaders, "step": step}
        self.calls.append(options | {"optimizers": optimizers, "schedulers": schedulers})
        return History([{"epoch": 1}], 1)

    def __getattr__(self, name):
        """Of the last call."""
        return self.calls[-1][name]

    def rates(self) -> list[float]:
        """The learning rate of the first optimizer at every step of the training."""
        seen = []
        for _ in range(self.epochs * len(self.loaders.train)):
            seen.append(self.optimizers[0].param_groups[0]["lr"])
            for moved in (*self.optimizers, *self.schedulers):
                moved.step()
        return seen

    def dropouts(self) -> list[float]:
        """Of the network's layers, in their order."""
        return [module.p for module in self.network.modules() if isinstance(module, nn.Dropout)]


def rows_of(data) -> list[tuple]:
    """Ids and target of every row of a data set of texts."""
    return [(*data.tokens[i].tolist(), int(data.targets[i])) for i in range(len(data))]
