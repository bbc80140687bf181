"""python -m helpers: what reaches the layers below, what is printed, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from helpers import settings
from helpers.__main__ import main
from helpers.apps import cli
from helpers.data import sources
from helpers.data.corpora import SchemaError, load_sms
from helpers.data.sources import Fetched, SourceError
from helpers.data.text import SentenceReader, Vocabulary, tokenize
from helpers.model.checkpoints import SAMPLE_MARK, CheckpointError, save_checkpoint
from helpers.report import notebooks, readme, rules
from helpers.settings import UserError
from helpers.tasks import STUDIES, TABLES, meli, sick, sms, studies
from helpers.tasks.meli import MeliModel
from helpers.tasks.sick import SimilarityModel

OK, OPTIONAL, REQUIRED = (
    Fetched("a", True, "cache"),
    Fetched("b", False, None, "gone"),
    Fetched("c", True, None, "gone"),
)
HEAVY = ("torch", "sklearn", "scipy", "gensim", "mlflow", "pandas", "numpy", "matplotlib", "nltk", "gradio")


@pytest.fixture(autouse=True)
def _sample_only(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_OFFLINE", "1")
    monkeypatch.delenv("DATA_MIRROR", raising=False)


@pytest.fixture
def trainings(monkeypatch):
    """Stands in for every training; holds the calls and the folders saved to."""
    calls, saved = [], []

    def stand_in(task):
        def train(config, **options):
            calls.append((task, config, options))
            model = SimpleNamespace(
                save=lambda folder: folder.mkdir(parents=True, exist_ok=True) or saved.append(folder) or folder
            )
            seed = options.get("split_seed", 0)
            return SimpleNamespace(metrics={"f1": 0.9 + seed / 100, "parameters": 14000}, model=model)

        return train

    for task, module in {"sms": sms, "meli": meli, "sick": sick}.items():
        monkeypatch.setattr(module, "train", stand_in(task))
    return SimpleNamespace(calls=calls, saved=saved)


# Data


@pytest.mark.parametrize(
    ("rows", "status"), [([OK], 0), ([OK, OPTIONAL], 0), ([OK, REQUIRED], 1)], ids=["all", "optional", "required"]
)
def test_data_fails_only_where_a_required_file_is_missing(monkeypatch, capsys, rows, status):
    asked = []
    monkeypatch.setattr(sources, "fetch_all", lambda big: asked.append(big) or rows)
    for command in ("data", "data --big", "data fetch", "data fetch --big"):
        assert main(command.split()) == status
    assert asked == [False, True, False, True]
    assert f"1 of {len(rows)} files verified" in capsys.readouterr().out


def test_data_verify_fails_where_an_address_does_not_serve_and_says_what_it_left_out(monkeypatch, capsys):
    monkeypatch.setattr(sources, "verify_official", lambda names: [OK, OPTIONAL])
    assert main(["data", "verify"]) == 1
    monkeypatch.setattr(sources, "verify_official", lambda names: [OK])
    assert main(["data", "verify"]) == 0
    monkeypatch.setattr(sources, "verify_official", lambda names: [Fetched("sms", True, "official")])
    assert main(["data", "verify", "sms", "glove-840b"]) == 1
    assert "glove-840b" in capsys.readouterr().err


def test_data_list_names_every_source_and_what_is_here(tmp_path, capsys):
    (tmp_path / "cache" / "sts" / "archives").mkdir(parents=True)
    (tmp_path / "cache" / "sts" / "archives" / "STS2012-en-test.zip").write_bytes(b"put there by hand")
    assert main(["data", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert list(lines) == list(sources.SOURCES)
    assert "cached" in lines["semeval-2012-test"]
    assert "cached" not in lines["sms"]
    kinds = [lines[name].split()[4] for name in ("sms", "sbw", "sbw-head", "stopwords")]
    assert kinds == ["required", "big", "excerpt", "optional"]


# Studies


def test_study_runs_the_named_one_with_its_limit(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(studies, "run_study", lambda study, limit: ran.append((study.name, limit)))
    assert main(["study", "sms-models", "--limit", "2"]) == 0
    assert main(["study", "sms-models"]) == 0
    assert ran == [("sms-models", 2), ("sms-models", None)]
    assert str(settings.results_dir() / "studies" / "sms-models.csv") in capsys.readouterr().out


def test_study_names_those_there_are(capsys):
    assert main(["study", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(STUDIES)


# Training


def test_train_on_one_seed_saves_into_the_folder_and_says_it_is_a_sample(trainings, tmp_path, capsys):
    assert main(["train", "sms", "--split-seed", "3", "--save", str(tmp_path / "model")]) == 0
    assert trainings.calls == [("sms", "best", {"split_seed": 3, "model_seed": None})]
    assert trainings.saved == [tmp_path / "model"]
    assert (tmp_path / "model" / SAMPLE_MARK).is_file()
    out = capsys.readouterr().out
    assert "SYNTHETIC SAMPLE" in out
    assert [line.split() for line in out.splitlines()[-3:]] == [
        ["split", "3"],
        ["f1", "0.9300"],
        ["parameters", "14000"],
    ]


@pytest.mark.parametrize("seeds", ["--split-seed 1 2 3", "--split-seed 1 --split-seed 2 3"])
def test_train_on_several_seeds_adds_mean_and_deviation(trainings, tmp_path, capsys, seeds):
    command = f"train sms --config lstm {seeds} --model-seed 7 --grouped --save"
    assert main([*command.split(), str(tmp_path)]) == 0
    grouped = {"model_seed": 7, "kind": "grouped"}
    assert trainings.calls == [("sms", "lstm", {"split_seed": seed} | grouped) for seed in (1, 2, 3)]
    assert trainings.saved == [tmp_path / f"split-{seed}" for seed in (1, 2, 3)]
    f1 = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("f1"))
    assert f1.split() == ["f1", "0.9100", "0.9200", "0.9300", "0.9200", "0.0100"]


def test_a_split_seed_before_the_task_is_read_too(trainings):
    assert main(["train", "--split-seed", "4", "5", "meli", "--config", "no_skip"]) == 0
    assert trainings.calls == [("meli", "no_skip", {"split_seed": seed, "model_seed": None}) for seed in (4, 5)]


def test_train_sick_scores_on_test_or_where_it_is_said(trainings, capsys):
    assert main(["train", "sick", "--model-seed", "3"]) == 0
    assert next(line.split() for line in capsys.readouterr().out.splitlines()[-3:]) == ["model", "3"]
    assert main(["train", "sick", "--config", "triplet", "--evaluate-on", "cv1"]) == 0
    assert trainings.calls == [
        ("sick", "best", {"model_seed": 3, "evaluate_on": "test"}),
        ("sick", "triplet", {"model_seed": 0, "evaluate_on": "cv1"}),
    ]
    assert "sick: 300 pairs, SYNTHETIC SAMPLE" in capsys.readouterr().out


def test_a_sample_model_may_be_saved_again_and_stays_marked(tmp_path):
    import torch

    model = SimpleNamespace(save=lambda folder: save_checkpoint(folder, {"a": torch.zeros(1)}, {"task": "sms"}))
    load_sms()
    for _ in range(2):
        cli.save_model(model, tmp_path / "model")
        assert {path.name for path in (tmp_path / "model").iterdir()} == {
            SAMPLE_MARK, "model.json", "model.safetensors",
        }  # fmt: skip


def test_metrics_table_has_a_gap_where_a_seed_lacks_a_metric():
    table = cli.metrics_table({1: {"f1": 0.5, "auc": 0.75}, 2: {"f1": 0.7}})
    rows = [line.split() for line in table.splitlines()[1:]]
    assert rows == [["f1", "0.5000", "0.7000", "0.6000", "0.1414"], ["auc", "0.7500", "nan", "0.7500", "nan"]]


# Predictions


def test_predict_prints_probability_label_and_text(monkeypatch, capsys):
    probabilities = np.array([[0.31, 0.69], [0.29, 0.71]])
    model = SimpleNamespace(config=SimpleNamespace(threshold=0.7), predict_proba=lambda texts: probabilities)
    monkeypatch.setattr(sms.SpamModel, "load", lambda folder: model)
    assert main(["predict", "sms", "--model", "m", "see you", "WIN cash"]) == 0
    assert capsys.readouterr().out.splitlines() == ["0.6900  ham   see you", "0.7100  spam  WIN cash"]


def test_predict_meli_prints_the_likeliest_categories_of_every_title(monkeypatch, capsys):
    answers = {"funda": [("CASES", 0.75), ("WALLETS", 0.125)], "": [("WALLETS", 0.5), ("CASES", 0.25)]}
    model = SimpleNamespace(categories=["CASES", "WALLETS"], top=lambda texts, k: [answers[t][:k] for t in texts])
    monkeypatch.setattr(MeliModel, "load", lambda folder: model)
    assert main(["predict", "meli", "--model", "m", "funda", ""]) == 0
    lines = ["funda", "  0.7500  CASES", "  0.1250  WALLETS", "", "  0.5000  WALLETS", "  0.2500  CASES"]
    assert capsys.readouterr().out.splitlines() == lines


def test_predict_sick_compares_two_by_two_and_names_unknown_words(monkeypatch, capsys):
    model = SimpleNamespace(
        similarity=lambda first, second: np.array([4.25, 1.5])[: len(first)],
        threshold=3.5,
        reader=SentenceReader(Vocabulary(["a", "dog"])),
    )
    monkeypatch.setattr(SimilarityModel, "load", lambda folder: model)
    assert main(["predict", "sick", "--model", "m", "a dog", "a puppy", "a dog", ""]) == 0
    unknown = "      unknown to the model, so the answer may be far off: puppy"
    lines = ["4.25  similar      a dog | a puppy", unknown, "1.50  not similar  a dog | "]
    assert capsys.readouterr().out.splitlines() == lines


# Notebooks and README


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


def test_notebooks_check_prints_the_faults(notebook, capsys):
    assert main(["notebooks", "check", str(notebook)]) == 1
    assert "00_small.ipynb: " in capsys.readouterr().out


def test_notebooks_check_of_all_compares_studies_with_real_data_only(monkeypatch, capsys):
    monkeypatch.setattr(rules, "check", lambda paths=None: [])
    assert main(["notebooks", "check"]) == 0
    assert "studies not compared" in capsys.readouterr().err
    monkeypatch.setattr(studies, "table_problems", lambda those, folder: [f"{len(those)} in {folder.name}"])
    assert main(["notebooks", "check"]) == 1
    assert capsys.readouterr().out == f"{len(STUDIES)} in studies\n"


@pytest.mark.parametrize(("changed", "words"), [(True, "rewritten"), (False, "up to date")])
def test_readme_says_whether_it_changed(monkeypatch, capsys, changed, words):
    monkeypatch.setattr(readme, "update_readme", lambda: changed)
    assert main(["readme"]) == 0
    assert words in capsys.readouterr().out


# Wrong usage, errors, interruptions


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("", ["Missing command", "train", "demo"]),
        ("traim", ["'traim'", "train", "notebooks"]),
        ("data lst", ["'lst'", "fetch", "verify", "cut", "list"]),
        ("notebooks", ["execute", "check", "render"]),
        ("verify", ["'verify'"]),
        ("train", ["TASK", "sms", "meli", "sick"]),
        ("train smss", ["'smss'", "'sms'", "'meli'", "'sick'"]),
        ("train sms --confg best", ["--confg", "--config"]),
        ("train sms --split-seed", ["--split-seed"]),
        ("train sms --split-seed x", ["--split-seed", "'x'", "integer"]),
        ("train sms --split-seed 1 2 x", ["x"]),
        ("train sms --split-seed -1", ["--split-seed", "'-1'", "equal to 0"]),
        ("train sms --model-seed 4294967296", ["--model-seed", "'4294967296'"]),
        ("train sms --model-seed 1.5", ["--model-seed", "'1.5'"]),
        ("study", ["NAME", "--list"]),
        ("study sms-models --list", ["NAME", "--list"]),
        ("study sms-models --limit -1", ["--limit", "'-1'"]),
        ("study sms-models --confirm", ["--confirm", "--limit"]),
        ("predict sms hello", ["--model"]),
        ("predict sms --model m", ["TEXT"]),
        ("scale --rows many", ["--rows", "many", "full"]),
        ("scale --rows 600 0", ["--rows", "0"]),
        ("scale --epochs 0", ["--epochs", "'0'"]),
        ("serve sms-spam --port 65536", ["--port", "'65536'"]),
        ("demo --port 0", ["--port", "'0'"]),
        ("train-distributed sicks", ["'sicks'", "'sms'", "'meli'"]),
        ("train-distributed sms --mixed-precision fp8", ["'fp8'", "'bf16'"]),
        ("notebooks execute --profile fast", ["'fast'", "'quick'", "'full'"]),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_there_is_and_status_2(capsys, command, parts):
    assert main(command.split()) == 2
    assert_one_line(capsys, *parts)


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("study tine", ["'tine' is not one of", "sms-models"]),
        ("train sms --config bert", ["'bert' is not one of", "best"]),
        ("train meli --config bert", ["'bert' is not one of", "no_skip"]),
        ("train sick --config bert", ["'bert' is not one of", "best"]),
        ("train sick --evaluate-on cv9", ["'cv9' is not one of", "cv4"]),
        ("train sick --split-seed 1", ["--split-seed belongs to sms and meli"]),
        ("train meli --grouped", ["--grouped belongs to sms"]),
        ("train sms --evaluate-on trial", ["--evaluate-on belongs to sick"]),
        ("predict sick --model m a b c", ["3 are given"]),
        ("predict sms --model none hi", ["model.safetensors is missing"]),
        ("data verify nothing", ["'nothing' is not in the catalogue"]),
        ("data cut sms", ["'sms' is no excerpt"]),
        ("serve bert", ["'bert' is not one of", "sms-spam"]),
        ("register bert", ["'bert' is not one of", "sms-spam"]),
        ("register --model m", ["the folder of one model"]),
        ("notebooks execute no.ipynb", ["no such notebook", "no.ipynb"]),
        ("notebooks check no.ipynb", ["no such notebook", "no.ipynb"]),
        ("notebooks render no.ipynb", ["no such notebook", "no.ipynb"]),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_1(capsys, command, parts):
    assert main(command.split()) == 1
    assert_one_line(capsys, *parts)


@pytest.mark.parametrize(
    ("variable", "value", "parts"),
    [
        ("DEVICE", "cuda:99", ["DEVICE=cuda:99", "DEVICE=cpu"]),
        ("DEVICE", "gpu", ["DEVICE='gpu'", "cuda"]),
        ("THREADS", "0", ["THREADS='0'"]),
        ("PROFILE", "fast", ["PROFILE='fast'", "quick"]),
    ],
)
def test_a_wrong_variable_is_one_line(monkeypatch, capsys, variable, value, parts):
    monkeypatch.setenv(variable, value)
    assert main(["train", "sms"]) == 1
    assert_one_line(capsys, *parts)


def test_train_without_real_data_in_profile_full_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("PROFILE", "full")
    assert main(["train", "sms"]) == 1
    assert_one_line(capsys, "sms/SMSSpamCollection cannot be had", "DATA_MIRROR")


@pytest.mark.parametrize(
    "error", [SourceError("x"), CheckpointError("x"), FileNotFoundError("x"), PermissionError(13, "x", "f")]
)
def test_an_error_of_the_users_is_one_line(monkeypatch, capsys, error):
    monkeypatch.setattr(readme, "update_readme", raises(error))
    assert main(["readme"]) == 1
    assert_one_line(capsys, "x")


@pytest.mark.parametrize("error", [ValueError("x"), TypeError("x"), OSError("x"), KeyError("x")])
def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch, error):
    monkeypatch.setattr(readme, "update_readme", raises(error))
    with pytest.raises(type(error)):
        main(["readme"])


def test_a_file_of_another_form_is_the_users_and_a_wrong_argument_is_not(tmp_path):
    path = tmp_path / "sms.txt"
    path.write_text("ham\tone\nneither\ttwo\n", encoding="utf-8")
    with pytest.raises(SchemaError) as error:
        load_sms(path)
    assert isinstance(error.value, UserError)
    with pytest.raises(ValueError, match="scheme") as error:
        tokenize("text", "no such scheme")
    assert not isinstance(error.value, UserError)


def test_ctrl_c_ends_in_one_line_and_status_130(monkeypatch, capsys):
    monkeypatch.setattr(readme, "update_readme", raises(KeyboardInterrupt()))
    assert main(["readme"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_ctrl_c_ends_a_process_in_one_line():
    code = (
        "import sys, time; from helpers.__main__ import main; from helpers.report import readme\n"
        "def update(): print('ready', flush=True); time.sleep(60)\n"
        "readme.update_readme = update; sys.exit(main(['readme']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=settings.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[1] == "interrupted\n"
    assert process.returncode == 130


def test_runs_as_a_module_whose_output_may_be_cut_short():
    command = f"{sys.executable} -m helpers data list | head -n 1"
    ran = subprocess.run(["bash", "-c", command], cwd=settings.ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("meli-test")
    assert ran.stderr == ""


# Quick to start


@pytest.mark.parametrize(
    "command", ["--help", "train --help", "train smss", "nonsense", "data list", "study --list", "serve bert"]
)
def test_what_needs_no_model_imports_nothing_heavy(command):
    code = (
        "import sys; from helpers.__main__ import main; main(sys.argv[1:])\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *command.split()], cwd=settings.ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stderr.splitlines()[-1] == "[]"


def test_a_prediction_imports_torch_and_nothing_else_that_is_heavy(tmp_path):
    model = sms.train(
        sms.SmsConfig(embedding_dim=4, hidden_size=4, dense=4, epochs=1, valid_share=0, patience=None),
        split_seed=1, rows=60,
    ).model  # fmt: skip
    model.save(tmp_path / "model")
    code = (
        "import sys; from helpers.__main__ import main; main(sys.argv[1:])\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "predict", "sms", "--model", str(tmp_path / "model"), "hello"],
        cwd=settings.ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stderr.splitlines()[-1] == "['torch', 'numpy']"


def test_the_rows_of_the_register_are_those_of_the_studies():
    assert {name: STUDIES[name].name for name in STUDIES} == {name: name for name in TABLES}


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
