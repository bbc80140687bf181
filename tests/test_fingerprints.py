"""Every named configuration trains as it did when its numbers were made: a changed number is declared or mended."""

from dataclasses import replace

import pytest
import torch

from tools import fingerprints

COMMITTED = fingerprints.read()
WAYS_OUT = (
    "mend the code; or, where numbers change on purpose, raise REVISION in helpers/tasks/{}.py, run "
    "`make fingerprints` and the studies"
)


def check(name):
    found = fingerprints.differences(COMMITTED["fingerprints"][name], fingerprints.fingerprint(name))
    assert not found, f"{name}: {'; '.join(found)}: " + WAYS_OUT.format(name.partition("/")[0])


def of(*tasks):
    return pytest.mark.parametrize("name", [name for name in fingerprints.names() if name.startswith(tasks)])


class TestMeli:  # a class each, so that two workers share them (make test: --dist loadscope)
    @of("meli/")
    def test_miniature(self, name):
        check(name)


class TestSmsAndSick:
    @of("sms/", "sick/")
    def test_miniature(self, name):
        check(name)


def test_every_configuration_has_a_fingerprint_of_todays_revision():
    assert sorted(COMMITTED["fingerprints"]) == sorted(fingerprints.names())
    assert COMMITTED["revisions"] == {task: module.REVISION for task, module in fingerprints.TASKS.items()}


CHANGES = {
    "learning rate": ("sms/rnn", lambda config: replace(config, lr=config.lr * 1.01)),
    "learning rate of sparse embeddings": ("meli/averaged", lambda c: replace(c, sparse_lr=c.sparse_lr * 1.01)),
    "no dropout": ("sick/distribution", lambda config: replace(config, dropout=0.0)),
    "no label smoothing": ("sms/best", lambda config: replace(config, label_smoothing=0.0)),
    "no clipping": ("sms/rnn_end", lambda config: replace(config, clip=None)),
    "another tokenizer": ("sms/lstm", lambda config: replace(config, scheme="space")),
    "another margin": ("sick/triplet", lambda config: replace(config, margin=1.01)),
    "entailment loss without its weight": ("sick/best_alone", lambda config: replace(config, entailment_weight=1.0)),
    "no weight decay": ("meli/best", lambda config: replace(config, weight_decay=0.1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_configuration_is_caught(change):
    name, changed = CHANGES[change]
    assert fingerprints.differences(COMMITTED["fingerprints"][name], fingerprints.fingerprint(name, change=changed))


def test_a_changed_initialisation_is_caught(monkeypatch):
    fresh = torch.nn.Linear.reset_parameters

    def reset(layer):
        fresh(layer)
        with torch.no_grad():
            layer.weight.mul_(1.01)

    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", reset)
    assert fingerprints.differences(COMMITTED["fingerprints"]["meli/mlp"], fingerprints.fingerprint("meli/mlp"))


def test_tolerances_are_relative_and_shapes_count():
    committed = {"losses": [2.0, 1.0], "metrics": {"f1": 0.5}}
    near = {"losses": [2.0 * (1 + fingerprints.TOLERANCE / 2), 1.0], "metrics": {"f1": 0.5}}
    assert fingerprints.differences(committed, near) == []
    far = {"losses": [2.0 * (1 + fingerprints.TOLERANCE * 2), 1.0], "metrics": {"f1": 0.5}}
    assert [line.split(":")[0] for line in fingerprints.differences(committed, far)] == ["losses"]
    assert fingerprints.differences(committed, {"losses": [2.0], "metrics": {"f1": 0.5}})
    assert fingerprints.differences(committed, committed | {"metrics": {"f1": float("nan")}})


def test_a_changed_number_is_written_only_under_a_raised_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "FILE", tmp_path / "fingerprints.json")
    monkeypatch.setattr(fingerprints, "fingerprint", lambda name: {"losses": losses})
    said, losses, name = [], [1.0, 0.5], "sms/rnn"
    assert fingerprints.write([name], said.append) == 0
    losses = [1.0, 0.6]
    assert fingerprints.write([name], said.append) == 1
    assert "raise REVISION in helpers/tasks/sms.py" in said[-1]
    assert fingerprints.read()["fingerprints"][name] == {"losses": [1.0, 0.5]}
    monkeypatch.setattr(fingerprints.sms, "REVISION", fingerprints.sms.REVISION + 1)
    assert fingerprints.write([name], said.append) == 0
    assert fingerprints.read()["fingerprints"][name] == {"losses": losses}
