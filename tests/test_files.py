"""Files are written whole or not at all; hashes tell contents apart; one process holds a lock at a time."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import files


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = files.write_text(tmp_path / "deep" / "table.csv", "old")

    def interrupted():
        with files.replacing(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert [path.name for path in target.parent.iterdir()] == ["table.csv"]


def test_a_folder_takes_the_place_of_a_full_one(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with files.replacing(tmp_path / "model") as part:
        part.mkdir()
        (part / "new").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_error_of_the_disk_names_the_file_that_was_to_be_written(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, files.replacing(tmp_path / "table.csv"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []


@given(content=st.binary(max_size=300))
def test_sha256_is_that_of_the_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(content)
    assert files.sha256_of(str(path)) == hashlib.sha256(content).hexdigest()


def test_a_json_hash_forgets_the_order_of_keys_and_nothing_else():
    assert files.hash_of({"a": 1, "b": [2, 3]}) == files.hash_of({"b": [2, 3], "a": 1})
    assert files.hash_of({"a": 1, "b": [2, 3]}) != files.hash_of({"a": 1, "b": [3, 2]})


@given(lists=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=3))
def test_a_digest_tells_where_an_array_ends(lists):
    arrays = [np.array(row, dtype=np.int64) for row in lists]
    assert files.digest(*arrays) == files.digest(*(array.copy() for array in arrays))
    assert files.digest(*arrays) != files.digest(*arrays, np.zeros(0))
    assert files.digest(*arrays, None) != files.digest(*arrays, np.zeros(0))
    assert files.digest(["ab", "c"]) != files.digest(["a", "bc"])


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path):
    lock = tmp_path / "deep" / "lock"
    ask = f"from helpers.files import locked\nwith locked({str(lock)!r}, wait=False) as held: print(held)"
    with files.locked(lock, wait=False) as held:
        assert held
        busy = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    free = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert (busy.stdout.strip(), free.stdout.strip()) == ("False", "True")
