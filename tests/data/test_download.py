"""Downloads from a server of this process that can answer badly, break off, or be gone."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bie.data.download import Remote, cache_folder, fetch, missing, volume
from bie.errors import BadInput

CONTENT = bytes(range(256)) * 20000  # 5 MB
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Sends CONTENT, or the first `breaks_after` bytes of an answer; keeps the Range of every request."""

    breaks_after: int | None = None
    ranges: bool = True
    status: int = 200
    content: bytes = CONTENT

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(self.server.content):
            self.send_error(416)
            return
        content = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.breaks_after])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def remote(*addresses: str) -> Remote:
    return Remote("data.bin", addresses, CHECKSUM, 5)


def test_downloads_once(server: Server, tmp_path: Path) -> None:
    file = remote(server.address("a"))
    folder = tmp_path / "new" / "folder"
    assert missing([file], folder) == [file]
    fetch("x", (file,), folder)
    fetch("x", (file,), folder)
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["data.bin"]
    assert server.asked == [None]
    assert missing([file], folder) == []


def test_md5_too(server: Server, tmp_path: Path) -> None:
    checksum = "md5:" + hashlib.md5(CONTENT).hexdigest()
    fetch("x", (Remote("data.bin", (server.address("a"),), checksum, 5),), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_continues_where_it_stopped(server: Server, tmp_path: Path) -> None:
    file = remote(server.address("a"))
    server.breaks_after = 2_000_000
    with pytest.raises(BadInput, match="broke off after 2,000,000 of 5,120,000 bytes"):
        fetch("x", (file,), tmp_path)
    assert (tmp_path / "data.bin.part").stat().st_size == 2_000_000
    assert not (tmp_path / "data.bin").exists()
    server.breaks_after = None
    fetch("x", (file,), tmp_path)
    assert server.asked == [None, "bytes=2000000-"]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_starts_again_where_the_server_cannot_continue(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    fetch("x", (remote(server.address("a")),), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_part_that_is_the_whole_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    fetch("x", (remote(server.address("a")),), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_the_mirror_helps_out(server: Server, tmp_path: Path) -> None:
    gone = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = gone.server_port
    gone.server_close()
    fetch("x", (remote(f"http://127.0.0.1:{port}/a", server.address("b")),), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_wrong_content_is_never_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[::-1]
    with pytest.raises(BadInput, match=rf"sends something else than the file with {CHECKSUM}"):
        fetch("x", (remote(server.address("a")),), tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT
    fetch("x", (remote(server.address("a")),), tmp_path)
    assert server.asked == [None, None]


def test_a_damaged_file_in_the_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    file = remote(server.address("a"))
    (tmp_path / "data.bin").write_bytes(b"damaged")
    assert missing([file], tmp_path) == [file]
    fetch("x", (file,), tmp_path)
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_the_error_lists_what_is_left_and_why(server: Server, tmp_path: Path) -> None:
    server.status = 403
    first = tmp_path / "first.bin"
    first.write_bytes(CONTENT)
    here = Remote("first.bin", (server.address("first"),), CHECKSUM, 5)
    second = Remote("second.bin", (server.address("second"), server.address("mirror")), CHECKSUM, 7)
    with pytest.raises(BadInput) as caught:
        fetch("pbmc", (here, second), tmp_path)
    assert str(caught.value) == (
        "pbmc needs 1 file (7 MB) and the download failed. On a machine with network: "
        "bie data fetch pbmc --to DIR; then here: dataset.cache=DIR\n"
        f"or put into {tmp_path}:\n"
        f"  second.bin  from {server.address('second')} or {server.address('mirror')}\n"
        "what went wrong:\n"
        f"  {server.address('second')}: the server answers 403 Forbidden\n"
        f"  {server.address('mirror')}: the server answers 403 Forbidden"
    )


@pytest.mark.usefixtures("no_network")
def test_without_network(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"http://example\.org/a: .*Name or service not known"):
        fetch("x", (remote("http://example.org/a"),), tmp_path)


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder("pbmc", Path("~/here")) == tmp_path / "here"
    assert cache_folder("pbmc", None).parts[-2:] == ("bie", "pbmc")


def test_volume() -> None:
    file = remote("http://example.org/a")
    assert volume([file]) == "1 file (5 MB)"
    assert volume([file, file]) == "2 files (10 MB)"
    assert volume([file, Remote("b", (), CHECKSUM, None)]) == "2 files"
