import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bie.analysis.files import Files
from bie.analysis.page.serve import HOST, Kept, server
from bie.errors import BadInput
from bie.store.paths import Tree


@pytest.fixture
def kept(disk: Any, point: Any) -> Kept:
    disk.record(point(), 0, {"ari": 0.5})

    def make(files: Files, version: str, draw: bool) -> str:
        return f"{len(files.ends)} records, {version}{', figures' * draw}"

    made = Kept(Tree(disk.root), make)
    made.refresh()
    return made


@pytest.fixture
def port(kept: Kept) -> Iterator[int]:
    with server(kept, 0) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running.server_port
        running.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"{HOST}:{port}")
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_the_page_and_its_version_are_served_and_follow_the_tree(
    kept: Kept, port: int, disk: Any, point: Any
) -> None:
    assert ask(port, "/") == (200, f"1 records, {kept.version}")
    assert ask(port, "/version") == (200, kept.version)
    before = kept.version
    kept.refresh()
    assert kept.version == before
    disk.record(point(), 1, {"ari": 0.5})
    kept.refresh()
    assert ask(port, "/") == (200, f"2 records, {kept.version}")
    assert kept.version != before


@pytest.mark.parametrize(
    "path",
    [
        "/../runs", "//etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/report/index.html", "/?../../x",
        "/version/..", "/..\\..\\x",
    ],
)  # fmt: skip
def test_nothing_else_can_be_asked_for(path: str, port: int) -> None:
    assert ask(port, path) == (404, "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(method: str, port: int) -> None:
    assert ask(port, "/", method)[0] == 501


def test_another_name_that_leads_here_is_refused(port: int) -> None:
    assert ask(port, "/", host=f"evil.example:{port}") == (403, "")
    assert ask(port, "/", host=f"localhost:{port}")[0] == 200


class Thrice(threading.Event):
    """Stops after three looks."""

    waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        return self.waits > 3


def test_figures_are_drawn_after_the_tables_and_less_often(
    kept: Kept, disk: Any, point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(files: Files, version: str, draw: bool) -> str:
        made.append((len(files.ends), draw))
        if len(made) < 3:
            disk.record(point(), len(made), {"ari": 0.5})  # a run ends meanwhile
        return version

    made: list[tuple[int, bool]] = []
    disk.record(point(), 9, {"ari": 0.5})
    monkeypatch.setattr(kept, "_make", make)
    kept.keep(Thrice())
    assert made == [(2, False), (3, True), (4, False)]


def test_a_page_that_cannot_be_made_anew_stays(
    kept: Kept, disk: Any, point: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(files: object, version: str, draw: bool) -> str:
        raise ValueError("half a record")

    page = kept.page
    disk.record(point(), 1, {"ari": 0.5})
    monkeypatch.setattr(kept, "_make", fails)
    kept.keep(Thrice())
    assert kept.page == page
    assert "half a record" in capsys.readouterr().err


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_had(port: int, kept: Kept) -> None:
    with pytest.raises(BadInput, match=f"^--port {port}: .*Leave it out"):
        server(kept, port)


def test_a_port_that_is_taken(port: int, kept: Kept) -> None:
    with pytest.raises(BadInput, match=f"^--port {port}: .*in use.*Leave it out"):
        server(kept, port)


def test_it_listens_on_this_machine_alone(kept: Kept, tmp_path: Path) -> None:
    with server(kept, 0) as running:
        assert running.server_address[0] == "127.0.0.1"
