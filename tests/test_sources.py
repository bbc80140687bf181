"""obtain() against a local server: what arrives, what is refused, and that nothing half-written stays behind."""

import hashlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers import settings
from helpers.data import sources
from helpers.data.sources import Source, SourceError, obtain

CONTENT = b"ham\thello\nspam\twin\n" * 50


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def give(content: bytes, *, declared: int | None = None, status: int = 200):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if declared is None else declared))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


class Server:
    """Answers by path, and counts what it was asked for."""

    def __init__(self):
        self.answers, self.asked = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                outer.answers.get(self.path, give(b"", status=404))(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def serve(self, path: str, answer) -> str:
        self.answers[path] = answer
        return self.base + path


@pytest.fixture
def server():
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / "cache"))
    for name in ("DATA_MIRROR", "DATA_OFFLINE", "PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(sources, "PAUSE", 0)
    monkeypatch.setattr(sources, "SOURCES", {})
    sources.forget_unreachable()
    return tmp_path / "cache"


def add(*urls: str, name="toy", path="toy/file.txt", **fields) -> Source:
    source = Source(name, path, len(CONTENT), "none", tuple(urls), **{"sha256": sha256(CONTENT), **fields})
    sources.SOURCES[name] = source
    return source


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def closed_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def zipped(members: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return memory.getvalue()


def tarred(members: dict[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link[0])
            info.type, info.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(info)
    return memory.getvalue()


def test_right_file_lands_and_is_not_asked_for_again(server, cache):
    add(server.serve("/file", give(CONTENT)))
    assert obtain("toy") == cache / "toy/file.txt"
    assert obtain("toy").read_bytes() == CONTENT
    assert server.asked == ["/file"]
    assert files(cache) == ["toy/file.txt"]


def test_wrong_checksum_is_refused_and_nothing_stays(server, cache):
    address = server.serve("/file", give(b"something else"))
    add(address)
    with pytest.raises(SourceError, match="damaged or another file") as error:
        obtain("toy")
    assert address in str(error.value)
    assert "toy/file.txt" in str(error.value)
    assert "\n" not in str(error.value)
    assert files(cache) == []


def test_truncated_body_is_refused_though_no_hash_is_known(server, cache):
    add(server.serve("/file", give(CONTENT, declared=len(CONTENT) + 10)), sha256=None)
    with pytest.raises(SourceError, match="broke off"):
        obtain("toy")
    assert len(server.asked) == sources.ATTEMPTS
    assert files(cache) == []


def test_empty_answer_is_refused(server, cache):
    add(server.serve("/file", give(b"")), sha256=None)
    with pytest.raises(SourceError, match="empty"):
        obtain("toy")
    assert files(cache) == []


def test_404_then_second_address(server, cache):
    add(f"{server.base}/gone", server.serve("/file", give(CONTENT)))
    assert obtain("toy").read_bytes() == CONTENT
    assert server.asked == ["/gone", "/file"]


def test_server_error_is_tried_again(server, cache):
    answers = iter([give(b"", status=503), give(CONTENT)])
    add(server.serve("/file", lambda handler: next(answers)(handler)))
    assert obtain("toy").read_bytes() == CONTENT


def test_time_out(server, cache, monkeypatch):
    monkeypatch.setattr(sources, "TIMEOUT", (0.2, 0.2))
    release = threading.Event()
    add(server.serve("/file", lambda handler: release.wait(5)))
    try:
        with pytest.raises(SourceError, match="no answer within"):
            obtain("toy")
    finally:
        release.set()
    assert files(cache) == []


@pytest.mark.parametrize(
    "archive",
    [
        zipped({"../file.txt": CONTENT}),
        zipped({"/etc/file.txt": CONTENT}),
        zipped({"C:\\file.txt": CONTENT}),
        tarred({"../../file.txt": CONTENT}),
        tarred({"/file.txt": CONTENT}),
        tarred({"file.txt": CONTENT}, link=("other", "/etc/passwd")),
    ],
)
def test_archive_that_leaves_its_folder_is_refused(server, cache, archive):
    add(server.serve("/archive", give(archive)), member="file.txt")
    with pytest.raises(SourceError, match="unsafe archive"):
        obtain("toy")
    assert files(cache.parent) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_of_one_archive_come_with_one_download(server, cache, pack):
    archive = pack({"folder/file.txt": CONTENT, "folder/other.txt": b"other", "folder/wrong.txt": b"wrong"})
    address = server.serve("/archive", give(archive))
    add(address, member="file.txt")
    add(address, name="other", path="toy/other.txt", member="other.txt", sha256=sha256(b"other"))
    add(address, name="wrong", path="toy/wrong.txt", member="wrong.txt", sha256=sha256(b"right"))
    assert obtain("toy").read_bytes() == CONTENT
    assert obtain("other").read_bytes() == b"other"
    assert server.asked == ["/archive"]
    assert files(cache) == ["toy/file.txt", "toy/other.txt"]


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (zipped({"other": b"x"}), "holds no file.txt"),
        (tarred({"file.txt": os.urandom(5000)})[:2000], "damaged archive"),
        (b"<html>please log in</html>", "damaged archive"),
    ],
)
def test_archive_that_does_not_hold_the_file(server, cache, archive, reason):
    add(server.serve("/archive", give(archive)), member="file.txt")
    with pytest.raises(SourceError, match=reason):
        obtain("toy")
    assert files(cache) == []


@pytest.mark.usefixtures("interruptible")
def test_interrupted_download_leaves_nothing(server, cache):
    def interrupt(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(b"half of it")
        handler.wfile.flush()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    add(server.serve("/file", interrupt))
    with pytest.raises(KeyboardInterrupt):
        obtain("toy")
    assert files(cache) == []


def test_two_processes_at_once(server, cache):
    both = threading.Barrier(2, timeout=60)

    def together(handler):
        both.wait()
        give(CONTENT)(handler)

    address = server.serve("/file", together)
    code = (
        "import sys; from helpers.data import catalogue, sources; "
        f"sources.SOURCES['toy'] = sources.Source('toy', 'toy/file.txt', 1, 'none', ('{address}',)); "
        "sys.stdout.write(str(sources.obtain('toy').stat().st_size))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [run.communicate(timeout=60)[0] for run in runs] == [str(len(CONTENT))] * 2
    assert files(cache) == ["toy/file.txt", "toy/file.txt.sha256"]
    assert (cache / "toy/file.txt").read_bytes() == CONTENT


def test_no_network_and_no_mirror(cache):
    host = closed_address()
    add(f"{host}/a", f"{host}/b")
    with pytest.raises(SourceError) as error:
        obtain("toy")
    message = str(error.value)
    assert f"{host}/a: connection refused" in message
    assert f"{host}/b: connection refused (host not asked again)" in message
    assert str(cache / "toy/file.txt") in message
    assert "DATA_MIRROR" in message


def test_offline_asks_nobody(server, cache, monkeypatch):
    monkeypatch.setenv("DATA_OFFLINE", "1")
    add(server.serve("/file", give(CONTENT)))
    with pytest.raises(SourceError, match="DATA_OFFLINE"):
        obtain("toy")
    assert server.asked == []


def test_folder_mirror_is_copied_and_the_copy_verified(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    add()
    (tmp_path / "mirror/toy").mkdir(parents=True)
    (tmp_path / "mirror/toy/file.txt").write_bytes(b"not this")
    with pytest.raises(SourceError, match="damaged or another file"):
        obtain("toy")
    assert files(cache) == []
    (tmp_path / "mirror/toy/file.txt").write_bytes(CONTENT)
    assert obtain("toy") == cache / "toy/file.txt"
    assert obtain("toy").read_bytes() == CONTENT


def test_empty_mirror_folder_then_official_address(server, cache, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    add(server.serve("/file", give(CONTENT)))
    assert obtain("toy").read_bytes() == CONTENT


def test_http_mirror_comes_before_official_addresses(server, cache, monkeypatch):
    server.serve("/mirror/toy/file%20one.txt", give(CONTENT))
    monkeypatch.setenv("DATA_MIRROR", f"{server.base}/mirror/")
    add(server.serve("/file", give(CONTENT)), path="toy/file one.txt")
    obtain("toy")
    assert server.asked == ["/mirror/toy/file%20one.txt"]


def test_damaged_file_in_the_cache_is_replaced(server, cache):
    add(server.serve("/file", give(CONTENT)))
    obtain("toy").write_bytes(b"damaged")
    assert obtain("toy").read_bytes() == CONTENT


def test_damaged_file_in_the_cache_is_named_when_it_cannot_be_replaced(server, cache):
    add(f"{server.base}/gone")
    (cache / "toy").mkdir(parents=True)
    (cache / "toy/file.txt").write_bytes(b"damaged")
    with pytest.raises(SourceError, match=r"file\.txt: sha256 is .* expected .*HTTP 404"):
        obtain("toy")


def test_first_download_is_held(server, cache):
    add(server.serve("/file", give(CONTENT)), sha256=None)
    note = obtain("toy").with_name("file.txt.sha256")
    assert note.read_text().startswith(f"{sha256(CONTENT)}  file.txt\n")
    server.serve("/file", give(b"a later edition"))
    (cache / "toy/file.txt").unlink()
    with pytest.raises(SourceError, match=r"hash of the first download.*file\.txt\.sha256; delete it to accept"):
        obtain("toy")
    note.unlink()
    assert obtain("toy").read_bytes() == b"a later edition"


def test_md5_decides_over_a_first_download(server, cache):
    add(server.serve("/file", give(CONTENT)), sha256=None, md5="0" * 32)
    with pytest.raises(SourceError, match="md5"):
        obtain("toy")
    add(server.base + "/file", sha256=None, md5=hashlib.md5(CONTENT).hexdigest())
    assert obtain("toy").read_bytes() == CONTENT


def test_file_put_into_the_cache_by_hand_is_held_too(cache):
    add(sha256=None)
    (cache / "toy").mkdir(parents=True)
    (cache / "toy/file.txt").write_bytes(CONTENT)
    obtain("toy")
    (cache / "toy/file.txt").write_bytes(b"changed since")
    with pytest.raises(SourceError, match="first download"):
        obtain("toy")


def test_big_file_is_hashed_once(cache, monkeypatch):
    monkeypatch.setattr(sources, "BIG", 10)
    add()
    (cache / "toy").mkdir(parents=True)
    (cache / "toy/file.txt").write_bytes(CONTENT)
    obtain("toy")
    hashed = []
    monkeypatch.setattr(sources.pooch, "file_hash", lambda *args, **kwargs: hashed.append(args) or "other")
    monkeypatch.setattr(sources, "_digests", {})
    obtain("toy")
    assert hashed == []
    (cache / "toy/file.txt").write_bytes(CONTENT + b"more")
    with pytest.raises(SourceError):
        obtain("toy")
    assert hashed


def test_big_file_is_only_downloaded_when_asked_for(server, cache):
    add(server.serve("/file", give(CONTENT)), big=True)
    with pytest.raises(SourceError, match="make data-full"):
        obtain("toy")
    assert server.asked == []
    assert obtain("toy", allow_big=True).read_bytes() == CONTENT


def test_excerpt_names_its_archive_and_command(cache):
    add(excerpt_of=("whole",))
    with pytest.raises(SourceError, match="cut it from whole with `python -m helpers data cut toy`"):
        obtain("toy")


def test_excerpt_cut_here_is_accepted_though_its_bytes_differ(cache):
    add(excerpt_of=("whole",))
    (cache / "toy").mkdir(parents=True)
    (cache / "toy/file.txt").write_bytes(b"cut by another version of gzip")
    with pytest.raises(SourceError):
        obtain("toy")
    sources.write_note(cache / "toy/file.txt")
    assert obtain("toy").read_bytes() == b"cut by another version of gzip"


def test_cache_that_cannot_be_written(server, cache):
    cache.write_text("a file where the folder should be")
    add(server.serve("/file", give(CONTENT)))
    with pytest.raises(SourceError, match="cannot be had"):
        obtain("toy")


def test_sample_in_quick_and_error_in_full(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "sample_dir", lambda: tmp_path / "sample")
    add(closed_address() + "/file")
    with pytest.raises(SourceError):
        sources.obtain_or_sample("toy")
    (tmp_path / "sample/toy").mkdir(parents=True)
    (tmp_path / "sample/toy/file.txt").write_bytes(b"synthetic")
    assert sources.obtain_or_sample("toy") == (tmp_path / "sample/toy/file.txt", True)
    monkeypatch.setenv("PROFILE", "full")
    with pytest.raises(SourceError, match=r"file\.txt cannot be had"):
        sources.obtain_or_sample("toy")


def test_real_and_sample_files_are_never_mixed(server, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "sample_dir", lambda: tmp_path / "sample")
    add(server.serve("/file", give(CONTENT)))
    add(f"{server.base}/gone", name="other", path="toy/other.txt")
    (tmp_path / "sample/toy").mkdir(parents=True)
    for name in ("file.txt", "other.txt"):
        (tmp_path / "sample/toy" / name).write_bytes(b"synthetic")
    paths, is_sample = sources.obtain_all_or_sample(["toy", "other"])
    assert is_sample
    assert {path.read_bytes() for path in paths} == {b"synthetic"}


def test_obtain_first_takes_what_is_at_hand(server, cache):
    add(server.serve("/whole", give(CONTENT)), name="whole", path="whole", big=True)
    add(server.serve("/part", give(CONTENT)), name="part", path="part")
    assert sources.obtain_first("whole", "part") == (cache / "part", "part")
    obtain("whole", allow_big=True)
    assert sources.obtain_first("whole", "part") == (cache / "whole", "whole")


def test_cached_never_fetches(server, cache):
    add(server.serve("/file", give(CONTENT)))
    assert sources.cached("toy") is None
    assert server.asked == []
    obtain("toy")
    assert sources.cached("toy") == cache / "toy/file.txt"


def test_fetch_all_goes_on_after_an_error_and_tells_all(server, cache, capsys):
    add(f"{server.base}/gone", required=True)
    add(server.serve("/file", give(CONTENT)), name="good", path="good")
    add(server.base + "/file", name="same", path="same", instead_of="good")
    add(server.base + "/file", name="huge", path="huge", big=True)
    rows = {row.name: row for row in sources.fetch_all()}
    assert list(rows) == ["toy", "good"]
    assert rows["toy"].required
    assert "HTTP 404" in rows["toy"].error
    assert rows["good"].origin == f"{server.base}/file"
    printed = capsys.readouterr().out
    assert re.search(r"FAIL toy: .*\nok   good: ", printed)
    assert [row.origin for row in sources.fetch_all(big=True)][1:] == ["cache", f"{server.base}/file"]


def test_verify_official_passes_cache_and_mirror_by(server, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path))
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/file.txt").write_bytes(CONTENT)
    add(server.serve("/file", give(b"changed at its source")))
    obtain("toy")
    assert [row.origin for row in sources.verify_official()] == [None]
    server.serve("/file", give(CONTENT))
    assert [row.origin for row in sources.verify_official(["toy"])] == ["official"]
    assert server.asked == ["/file", "/file"]


def test_unknown_name_lists_the_catalogue():
    with pytest.raises(ValueError, match="sick-train"):
        obtain("sikc")


def test_catalogue_is_sound():
    every = sources.SOURCES.values()
    assert len({source.path for source in every}) == len(sources.SOURCES)
    for source in every:
        assert not Path(source.path).is_absolute()
        assert ".." not in Path(source.path).parts
        assert bool(source.urls) != bool(source.excerpt_of)
        assert all(address.startswith(("https://", "http://")) for address in source.urls)
        assert all(whole in sources.SOURCES for whole in source.excerpt_of)
        assert source.sha256 is None or re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.big or source.size <= sources.BIG
    assert {source.name for source in every if source.required} == {
        "meli-test", "sms", "sick-train", "sick-trial", "sick-test",
    }  # fmt: skip


def test_open_stream_names_the_member_that_a_zip_lacks(tmp_path):
    (tmp_path / "two.zip").write_bytes(zipped({"a.txt": b"a", "b.txt": b"b"}))
    assert sources.open_stream(tmp_path / "two.zip", "b.txt").read() == b"b"
    with pytest.raises(sources.ArchiveError, match="a single file wanted"):
        sources.open_stream(tmp_path / "two.zip")
    (tmp_path / "bad.zip").write_bytes(b"PK not really")
    with pytest.raises(sources.ArchiveError, match="damaged"):
        sources.open_stream(tmp_path / "bad.zip")
