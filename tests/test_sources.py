"""obtain() against a local server: what arrives, what is refused, and that nothing half-written stays behind."""

import gzip
import hashlib
import io
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tomllib
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers import settings
from helpers.data import sources
from helpers.data.sources import Source, SourceError, obtain

CONTENT = b"ham\thello\nspam\twin\n" * 50


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def give(content: bytes, *, declared: int | None = None, status: int = 200, **headers: str):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if declared is None else declared))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
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


def put(folder: Path, content: bytes = CONTENT, path: str = "toy/file.txt") -> Path:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return folder / path


def in_another_process(code: str) -> subprocess.Popen:
    code = f"import sys; from helpers.data import sources; {code}"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


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
        f"sources.SOURCES['toy'] = sources.Source('toy', 'toy/file.txt', 1, 'none', ('{address}',)); "
        "sys.stdout.write(str(sources.obtain('toy').stat().st_size))"
    )
    runs = [in_another_process(code) for _ in range(2)]
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
    put(cache, b"damaged")
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
    put(cache)
    obtain("toy")
    (cache / "toy/file.txt").write_bytes(b"changed since")
    with pytest.raises(SourceError, match="first download"):
        obtain("toy")


def test_big_file_is_hashed_once(cache, monkeypatch):
    monkeypatch.setattr(sources, "BIG", 10)
    add(sha256=None)
    path = put(cache)
    obtain("toy")
    hash_once_more = "sources.BIG = 10; sys.stdout.write(sources.file_sha256(sys.argv[0]))".replace(
        "sys.argv[0]", repr(str(path))
    )
    assert in_another_process(hash_once_more).communicate(timeout=60)[0] == sha256(CONTENT)
    note = path.with_name("file.txt.sha256")
    note.write_text(note.read_text().replace(sha256(CONTENT), "remembered"))
    assert in_another_process(hash_once_more).communicate(timeout=60)[0] == "remembered"
    os.utime(path, ns=(0, 0))
    assert in_another_process(hash_once_more).communicate(timeout=60)[0] == sha256(CONTENT)


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
    put(cache, b"cut by another version of gzip")
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


def test_every_entry_of_the_catalogue_is_complete_and_unique():
    groups = tomllib.loads(sources.CATALOGUE.read_text(encoding="utf-8")).values()
    every = sources.SOURCES.values()
    assert len(every) == sum(len(group["files"]) for group in groups)
    for field in ("path", "sha256", "md5"):
        values = [value for source in every if (value := getattr(source, field))]
        assert len(set(values)) == len(values)
    for source in every:
        assert source.size > 0
        assert source.licence
        assert not Path(source.path).is_absolute()
        assert ".." not in Path(source.path).parts
        assert bool(source.urls) != bool(source.excerpt_of)
        assert source.urls or not source.member
        assert all(address.startswith(("https://", "http://")) for address in source.urls)
        assert len(set(source.urls)) == len(source.urls)
        assert all(isinstance(names, tuple) for names in (source.urls, source.excerpt_of, *source.read_with))
        named = [*source.excerpt_of, *(name for group in source.read_with for name in group)]
        assert all(name in sources.SOURCES for name in named)
        assert source.instead_of is None or source.instead_of in sources.SOURCES
        assert source.sha256 is None or re.fullmatch("[0-9a-f]{64}", source.sha256)
        assert source.md5 is None or re.fullmatch("[0-9a-f]{32}", source.md5)
        assert source.sha256 or source.urls
        assert source.big == (source.size > sources.BIG)
    assert {source.name for source in every if source.required} == {
        "meli-test", "sms", "sick-train", "sick-trial", "sick-test",
    }  # fmt: skip


def test_the_catalogue_is_read_without_heavy_libraries(cache):
    put(cache)
    code = (
        "assert not vars(sources.SOURCES), 'read at import'; sources.cached('sms'); sources.find('sts-train'); "
        "heavy = {'torch', 'numpy', 'pandas', 'requests', 'urllib3', 'pooch', 'tqdm'}; "
        "sys.stdout.write(f'{len(sources.SOURCES)} {heavy & set(sys.modules)}')"
    )
    assert in_another_process(code).communicate(timeout=60)[0] == "63 set()"


def test_open_stream_names_the_member_that_a_zip_lacks(tmp_path):
    (tmp_path / "two.zip").write_bytes(zipped({"a.txt": b"a", "b.txt": b"b"}))
    assert sources.open_stream(tmp_path / "two.zip", "b.txt").read() == b"b"
    with pytest.raises(sources.ArchiveError, match="a single file wanted"):
        sources.open_stream(tmp_path / "two.zip")
    (tmp_path / "bad.zip").write_bytes(b"PK not really")
    with pytest.raises(sources.ArchiveError, match="damaged"):
        sources.open_stream(tmp_path / "bad.zip")


# Servers


def test_a_redirection_is_followed(server, cache):
    add(server.serve("/old", give(b"moved", status=302, Location="/new")))
    server.serve("/new", give(CONTENT))
    assert obtain("toy").read_bytes() == CONTENT


def test_what_a_server_calls_its_encoding_stays_packed(server, cache):
    packed = gzip.compress(CONTENT)
    add(server.serve("/file", give(packed, Content_Encoding="gzip")), sha256=sha256(packed))
    assert obtain("toy").read_bytes() == packed


def test_a_slow_server_that_keeps_coming_is_waited_for(server, cache, monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 0.05)
    monkeypatch.setattr(sources, "PIECE", 1 << 20)

    def drip(handler):
        give(b"", declared=len(CONTENT))(handler)
        for start in range(0, len(CONTENT), 100):
            handler.wfile.write(CONTENT[start : start + 100])
            time.sleep(0.02)

    add(server.serve("/file", drip))
    assert obtain("toy").read_bytes() == CONTENT


def test_a_terminal_is_shown_how_far_it_is(server, cache, monkeypatch, capsys):
    add(server.serve("/file", give(CONTENT)))
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    obtain("toy")
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("mirror", ["http://[bad", "http:///nowhere"])
def test_a_mirror_that_is_no_address_is_named_and_the_next_is_asked(server, cache, monkeypatch, mirror):
    monkeypatch.setenv("DATA_MIRROR", mirror)
    address = add(f"{server.base}/gone").urls[0]
    with pytest.raises(SourceError, match=rf"{re.escape(mirror)}/.*: not an address .*{address}: HTTP 404"):
        obtain("toy")
    server.serve("/gone", give(CONTENT))
    assert obtain("toy").read_bytes() == CONTENT


def test_a_full_disk_leaves_nothing(server, cache):
    content = os.urandom(50_000)
    add(server.serve("/file", give(content)), sha256=sha256(content))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(SourceError, match="File too large"):
            obtain("toy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(cache) == []
    assert obtain("toy").read_bytes() == content


# Caches and mirrors as people have them


@contextmanager
def read_only(folder: Path):
    """Nothing can be written under a folder, not by root either."""
    places = [folder, *folder.rglob("*")]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        for place in places:
            place.chmod(0o755)


@pytest.fixture
def shared_cache(cache, monkeypatch):
    """A cache in a folder that every user may enter; pytest's are for their owner alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("DATA_CACHE", f"{folder}/cache")
        yield Path(folder, "cache")


@pytest.mark.parametrize(
    "known", [{}, {"sha256": None}, {"sha256": None, "md5": hashlib.md5(CONTENT).hexdigest()}, {"excerpt_of": ("x",)}]
)
@pytest.mark.parametrize("big", [10, 1_000_000])
def test_a_read_only_cache_with_the_right_file_is_used(server, shared_cache, monkeypatch, known, big):
    monkeypatch.setattr(sources, "BIG", big)
    add(*([] if "excerpt_of" in known else [f"{server.base}/file"]), **known)
    path = put(shared_cache)
    with read_only(shared_cache):
        with pytest.raises(PermissionError):
            (path.parent / "new").touch()
        assert obtain("toy") == sources.cached("toy") == path
        assert [row.origin for row in sources.fetch_all()] == ["cache"]
    assert files(shared_cache) == ["toy/file.txt"]
    assert server.asked == []


def test_a_read_only_cache_without_the_file_says_so(server, shared_cache):
    add(server.serve("/file", give(CONTENT)))
    put(shared_cache, b"damaged")
    put(shared_cache, b"", "toy/other.txt")
    add(server.serve("/other", give(b"other")), name="other", path="toy/other.txt", sha256=None)
    with read_only(shared_cache):
        for name, found in (("toy", "sha256 is"), ("other", "an empty file")):
            with pytest.raises(SourceError, match=f"{found}.*Permission denied.*toy/"):
                obtain(name)
    assert (shared_cache / "toy/file.txt").read_bytes() == b"damaged"


def linked(folder: Path, store: Path, content: bytes) -> Path:
    """A file that is a link to its content, as in git-annex and DVC."""
    link = folder / "toy/file.txt"
    link.parent.mkdir(parents=True)
    store.mkdir()
    link.symlink_to(os.path.relpath(put(store, content, "SHA256E-s1050--9f"), link.parent))
    return link


@pytest.mark.parametrize("known", [{}, {"sha256": None}])
def test_a_cache_of_links_is_read(cache, tmp_path, known):
    add(**known)
    link = linked(cache, tmp_path / "store", CONTENT)
    assert obtain("toy") == link
    assert link.is_symlink()
    assert files(tmp_path / "store") == ["SHA256E-s1050--9f"]


def test_a_wrong_link_is_replaced_and_its_content_left_alone(server, cache, tmp_path):
    add(server.serve("/file", give(CONTENT)))
    link = linked(cache, tmp_path / "store", b"another edition")
    assert obtain("toy").read_bytes() == CONTENT
    assert not link.is_symlink()
    assert (tmp_path / "store/SHA256E-s1050--9f").read_bytes() == b"another edition"


def test_a_link_to_nothing_is_as_no_file(server, cache, tmp_path):
    add(server.serve("/file", give(CONTENT)))
    linked(cache, tmp_path / "store", CONTENT).resolve().unlink()
    assert sources.cached("toy") is None
    assert obtain("toy").read_bytes() == CONTENT


def test_a_mirror_of_links_is_copied(cache, tmp_path, monkeypatch):
    add()
    linked(tmp_path / "mirror", tmp_path / "store", CONTENT)
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    assert obtain("toy").read_bytes() == CONTENT
    assert not obtain("toy").is_symlink()


ODD = ["50%20off", "what?", "no#1", "a b  c", "ñandú", "[x]{y}*", 'it\'s "q"', "~", "a\\b", "latin\udce9"]


@pytest.mark.parametrize("name", ODD)
def test_folders_of_any_name_serve_as_mirror_and_cache(server, tmp_path, cache, monkeypatch, name):
    monkeypatch.setenv("DATA_CACHE", str(tmp_path / name / "cache"))
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / name / "mirror"))
    archive = server.serve("/archive", give(tarred({"a/member.txt": CONTENT})))
    add(archive, name="member", path="toy/member.txt", member="member.txt")
    add(name="toy")
    assert [row.origin for row in sources.fetch_all()] == [archive, None]
    mirrored = put(tmp_path / name / "mirror")
    assert [row.origin for row in sources.fetch_all()] == ["cache", str(mirrored)]
    assert obtain("toy") == tmp_path / name / "cache/toy/file.txt"
    assert obtain("toy").read_bytes() == CONTENT
    assert files(tmp_path / name / "cache") == ["toy/file.txt", "toy/member.txt"]


@pytest.mark.parametrize(
    ("base", "asked"), [("a b", "a%20b"), ("a%20b", "a%20b"), ("ñ", "%C3%B1"), ("50%25", "50%25"), ("(x)+y", "(x)+y")]
)
def test_addresses_of_any_name_serve_as_mirror(server, cache, monkeypatch, base, asked):
    monkeypatch.setenv("DATA_MIRROR", f"{server.base.upper()}/{base}/")
    server.serve(f"/{asked}/toy/file.txt", give(CONTENT))
    add()
    assert obtain("toy").read_bytes() == CONTENT


def test_a_mirror_may_be_a_file_address(cache, tmp_path, monkeypatch):
    put(tmp_path / "a b#")
    monkeypatch.setenv("DATA_MIRROR", (tmp_path / "a b#").as_uri())
    add()
    assert obtain("toy").read_bytes() == CONTENT
