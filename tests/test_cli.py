"""python -m helpers: what reaches the layers below, what is printed, and how it ends."""

import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest

from helpers import settings
from helpers.__main__ import is_users, main
from helpers.apps import cli_data, cli_models
from helpers.data.corpora import SchemaError, load_sms
from helpers.data.sources import Fetched, SourceError
from helpers.model.checkpoints import SAMPLE_MARK, CheckpointError
from helpers.report import notebooks, readme, rules
from helpers.tasks import STUDIES, meli, sms, studies
from helpers.tasks.meli import MeliModel
from helpers.tasks.studies import row_key

OK, OPTIONAL, REQUIRED = (
    Fetched("a", True, "cache"),
    Fetched("b", False, None, "gone"),
    Fetched("c", True, None, "gone"),
)


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_OFFLINE", "1")
    monkeypatch.delenv("DATA_MIRROR", raising=False)


@pytest.fixture
def trainings(monkeypatch, no_data):
    """Stands in for the training of sms; holds the calls and the folders saved to."""
    calls, saved = [], []

    def train(config, *, split_seed, model_seed, split):
        calls.append((config, split_seed, model_seed, split))
        model = SimpleNamespace(save=lambda folder: folder.mkdir(parents=True) or saved.append(folder) or folder)
        return SimpleNamespace(metrics={"f1": 0.9 + split_seed / 100, "parameters": 14000}, model=model)

    monkeypatch.setattr(sms, "train", train)
    return SimpleNamespace(calls=calls, saved=saved)


@pytest.mark.parametrize(
    ("rows", "status"), [([OK], 0), ([OK, OPTIONAL], 0), ([OK, REQUIRED], 1)], ids=["all", "optional", "required"]
)
def test_data_fails_only_where_a_required_file_is_missing(monkeypatch, capsys, rows, status):
    asked = []
    monkeypatch.setattr(cli_data, "fetch_all", lambda big: asked.append(big) or rows)
    assert main(["data"]) == status
    assert main(["data", "--big"]) == status
    assert asked == [False, True]
    assert f"1 of {len(rows)} files verified" in capsys.readouterr().out


def test_data_verify_fails_where_any_address_does_not_serve(monkeypatch):
    monkeypatch.setattr(cli_data, "verify_official", lambda names: [OK, OPTIONAL])
    assert main(["data", "verify"]) == 1
    monkeypatch.setattr(cli_data, "verify_official", lambda names: [OK])
    assert main(["data", "verify"]) == 0


def test_data_verify_says_what_it_could_not_look_at(monkeypatch, capsys):
    monkeypatch.setattr(cli_data, "verify_official", lambda names: [Fetched("sms", True, "official")])
    assert main(["data", "verify", "sms", "glove-840b"]) == 1
    assert "glove-840b" in capsys.readouterr().err


def test_data_verify_of_an_unknown_name_is_one_line(capsys):
    assert main(["data", "verify", "nothing"]) == 1
    assert_one_line(capsys, "'nothing' is not in the catalogue")


def test_data_cut_of_no_excerpt_is_one_line(capsys):
    assert main(["data", "cut", "sms"]) == 1
    assert_one_line(capsys, "'sms' is no excerpt")


def test_data_list_names_every_source_and_what_is_here(no_data, tmp_path, capsys):
    (tmp_path / "cache" / "sts" / "archives").mkdir(parents=True)
    (tmp_path / "cache" / "sts" / "archives" / "STS2012-en-test.zip").write_bytes(b"put there by hand")
    assert main(["data", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert list(lines) == list(cli_data.catalogue.SOURCES)
    assert "cached" in lines["semeval-2012-test"]
    assert "cached" not in lines["sms"]
    assert [lines[name].split()[4] for name in ("sms", "sbw", "sbw-head", "stopwords")] == [
        "required",
        "big",
        "excerpt",
        "optional",
    ]


def test_study_runs_the_named_one_with_its_limit(monkeypatch, capsys):
    ran = []
    monkeypatch.setitem(STUDIES, "tiny", "a study")
    monkeypatch.setattr(studies, "run_study", lambda study, limit: ran.append((study, limit)))
    assert main(["study", "tiny", "--limit", "2"]) == 0
    assert main(["study", "tiny"]) == 0
    assert ran == [("a study", 2), ("a study", None)]
    assert str(settings.results_dir() / "studies" / "tiny.csv") in capsys.readouterr().out


def test_study_names_those_there_are(monkeypatch, capsys):
    monkeypatch.setitem(STUDIES, "tiny", "a study")
    assert main(["study", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(STUDIES)
    assert main(["study", "tine"]) == 1
    assert_one_line(capsys, "'tine' is not one of", "tiny")


@pytest.mark.parametrize(
    "arguments", ["study", "study tiny --list", "study tiny --limit -1", "train sms --split-seed x"]
)
def test_wrong_usage_ends_in_status_2(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2


def test_train_on_one_seed_saves_into_the_folder_and_says_it_is_a_sample(trainings, tmp_path, capsys):
    assert main(["train", "sms", "--split-seed", "3", "--save", str(tmp_path / "model")]) == 0
    assert trainings.calls == [("best", 3, 3, "random")]
    assert trainings.saved == [tmp_path / "model"]
    assert (tmp_path / "model" / SAMPLE_MARK).is_file()
    out = capsys.readouterr().out
    assert "SYNTHETIC SAMPLE" in out
    assert out.splitlines()[-3].split() == ["split", "3"]
    assert out.splitlines()[-2].split() == ["f1", "0.9300"]
    assert out.splitlines()[-1].split() == ["parameters", "14000"]


def test_train_on_several_seeds_adds_mean_and_deviation(trainings, tmp_path, capsys):
    command = "train sms --config lstm --split-seed 1 2 3 --model-seed 7 --grouped --save"
    assert main([*command.split(), str(tmp_path)]) == 0
    assert trainings.calls == [("lstm", seed, 7, "grouped") for seed in (1, 2, 3)]
    assert trainings.saved == [tmp_path / f"split-{seed}" for seed in (1, 2, 3)]
    f1 = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("f1"))
    assert f1.split() == ["f1", "0.9100", "0.9200", "0.9300", "0.9200", "0.0100"]


def test_metrics_table_has_a_gap_where_a_seed_lacks_a_metric():
    table = cli_models.metrics_table({1: {"f1": 0.5, "auc": 0.75}, 2: {"f1": 0.7}})
    rows = [line.split() for line in table.splitlines()[1:]]
    assert rows == [["f1", "0.5000", "0.7000", "0.6000", "0.1414"], ["auc", "0.7500", "nan", "0.7500", "nan"]]


def test_train_without_real_data_in_profile_full_is_one_line(no_data, monkeypatch, capsys):
    monkeypatch.setenv("PROFILE", "full")
    assert main(["train", "sms"]) == 1
    assert_one_line(capsys, "sms/SMSSpamCollection cannot be had", "DATA_MIRROR")


def test_predict_prints_probability_label_and_text(monkeypatch, capsys):
    model = SimpleNamespace(config=SimpleNamespace(threshold=0.7), predict_proba=lambda texts: [0.69, 0.71])
    monkeypatch.setattr(sms.SpamModel, "load", lambda folder: model)
    assert main(["predict", "sms", "--model", "m", "see you", "WIN cash"]) == 0
    assert capsys.readouterr().out.splitlines() == ["0.6900  ham   see you", "0.7100  spam  WIN cash"]


def test_train_meli_hands_on_its_seeds_and_refuses_the_groups_of_sms(no_data, monkeypatch, tmp_path, capsys):
    calls = []
    done = SimpleNamespace(metrics={"test_balanced_accuracy": 0.5}, model=None)
    monkeypatch.setattr(meli, "train", lambda config, **seeds: calls.append((config, seeds)) or done)
    assert main(["train", "meli", "--config", "mlp", "--split-seed", "4"]) == 0
    assert calls == [("mlp", {"split_seed": 4, "model_seed": 4})]
    assert "meli: 1,000 texts, SYNTHETIC SAMPLE" in capsys.readouterr().out
    assert main(["train", "meli", "--grouped"]) == 1
    assert_one_line(capsys, "--grouped belongs to sms")


def test_predict_meli_prints_the_likeliest_categories_of_every_title(monkeypatch, capsys):
    answers = {"funda": [("CASES", 0.75), ("WALLETS", 0.125)], "": [("WALLETS", 0.5), ("CASES", 0.25)]}
    model = SimpleNamespace(categories=["CASES", "WALLETS"], predict=lambda texts, k: [answers[t][:k] for t in texts])
    monkeypatch.setattr(MeliModel, "load", lambda folder: model)
    assert main(["predict", "meli", "--model", "m", "funda", ""]) == 0
    lines = ["funda", "  0.7500  CASES", "  0.1250  WALLETS", "", "  0.5000  WALLETS", "  0.2500  CASES"]
    assert capsys.readouterr().out.splitlines() == lines


def test_predict_with_no_model_is_one_line(tmp_path, capsys):
    assert main(["predict", "sms", "--model", str(tmp_path / "none"), "hi"]) == 1
    assert_one_line(capsys, "model.safetensors is missing")


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "00_small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Small")]), path)
    return path


def test_notebooks_execute_hands_on_paths_profile_and_folder(monkeypatch, notebook, tmp_path):
    asked = []
    monkeypatch.setattr(notebooks, "execute", lambda paths, **options: asked.append((list(paths), options)))
    main(["notebooks", "execute", str(notebook), "--profile", "full"])
    main(["notebooks", "execute", "--out", str(tmp_path)])
    assert asked == [
        ([notebook], {"profile": "full", "out_dir": None}),
        (rules.committed_notebooks(), {"profile": "quick", "out_dir": tmp_path}),
    ]


def test_notebooks_execute_in_place_needs_profile_full(notebook, capsys):
    before = notebook.read_bytes()
    assert main(["notebooks", "execute", str(notebook)]) == 1
    assert_one_line(capsys, "would overwrite the committed notebooks")
    assert notebook.read_bytes() == before


def test_notebooks_render_writes_a_page(notebook, tmp_path, capsys):
    assert main(["notebooks", "render", str(notebook), "--out", str(tmp_path / "pages")]) == 0
    page = tmp_path / "pages" / "00_small.html"
    assert capsys.readouterr().out == f"{page}\n"
    assert "Small" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("action", ["execute", "check", "render"])
def test_a_notebook_that_is_not_there_is_one_line(action, tmp_path, capsys):
    assert main(["notebooks", action, str(tmp_path / "no.ipynb")]) == 1
    assert_one_line(capsys, "no such notebook", "no.ipynb")


def test_notebooks_check_prints_the_faults(notebook, capsys):
    assert main(["notebooks", "check", str(notebook)]) == 1
    assert "00_small.ipynb: " in capsys.readouterr().out


def test_notebooks_check_of_all_compares_studies_with_real_data_only(monkeypatch, no_data, capsys):
    seen = []
    monkeypatch.setattr(rules, "check", lambda paths=None, current=None: seen.append(current) or [])
    study = SimpleNamespace(stamp=lambda: {"data_hash": load_sms().attrs["sha256"]}, specs=lambda: [{"a": 1}])
    monkeypatch.setattr("helpers.tasks.STUDIES", {"tiny": study})
    assert main(["notebooks", "check"]) == 0
    assert "studies not compared" in capsys.readouterr().err
    study = SimpleNamespace(stamp=lambda: {"data_hash": "d"}, specs=lambda: [{"a": 1}])
    monkeypatch.setattr("helpers.tasks.STUDIES", {"tiny": study})
    assert main(["notebooks", "check"]) == 0
    assert seen == [None, {"tiny": {"data_hash": "d", "keys": [row_key({"a": 1})]}}]


@pytest.mark.parametrize(("changed", "words"), [(True, "rewritten"), (False, "up to date")])
def test_readme_says_whether_it_changed(monkeypatch, capsys, changed, words):
    monkeypatch.setattr(readme, "update_readme", lambda: changed)
    assert main(["readme"]) == 0
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [SourceError("x"), CheckpointError("x"), FileNotFoundError("x"), PermissionError(13, "x", "f")]
)
def test_what_the_user_can_mend_is_one_line(monkeypatch, capsys, error):
    monkeypatch.setattr(readme, "update_readme", raises(error))
    assert main(["readme"]) == 1
    assert_one_line(capsys, "x")


def test_ctrl_c_ends_in_one_line_and_status_130(monkeypatch, capsys):
    monkeypatch.setattr(readme, "update_readme", raises(KeyboardInterrupt()))
    assert main(["readme"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(readme, "update_readme", lambda: pd.Series([1]).astype("nonsense"))
    with pytest.raises(TypeError):
        main(["readme"])


def test_only_a_value_error_of_our_own_code_is_the_users():
    with pytest.raises(ValueError, match="scheme") as ours:
        settings_error()
    with pytest.raises(ValueError, match="could not convert") as theirs:
        pd.Series(["a"]).astype(float)
    assert is_users(ours.value)
    assert not is_users(theirs.value)


def settings_error():
    from helpers.data.text import tokenize

    tokenize("text", "no such scheme")


def test_schema_errors_are_the_users(tmp_path):
    path = tmp_path / "sms.txt"
    path.write_text("ham\tone\nneither\ttwo\n", encoding="utf-8")
    with pytest.raises(SchemaError) as error:
        load_sms(path)
    assert is_users(error.value)


def test_runs_as_a_module_whose_output_may_be_cut_short():
    command = f"{sys.executable} -m helpers data list | head -n 1"
    ran = subprocess.run(["bash", "-c", command], cwd=settings.ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("meli-test")
    assert ran.stderr == ""


def raises(error):
    def function(*args, **kwargs):
        raise error

    return function


def assert_one_line(capsys, *parts):
    err = "".join(x for x in capsys.readouterr().err.splitlines(keepends=True) if "sample stands in" not in x)
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
