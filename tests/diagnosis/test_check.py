import threading

from bie.diagnosis.check import Row, carried_out


def test_a_check_that_stumbles_is_a_row():
    def stumbles() -> Row:
        raise RuntimeError("no\nidea")

    row = carried_out("thing", stumbles)
    assert (row.name, row.state) == ("thing", "problem")
    assert row.found == "could not be looked at: RuntimeError: no idea"


def test_a_check_that_never_ends_is_given_up():
    release = threading.Event()

    def hangs() -> Row:
        release.wait()
        return Row("thing", "ok", "")

    assert carried_out("thing", hangs, limit_s=0.01).found == "no answer in 0 s"
    release.set()


def test_a_row_is_handed_on():
    row = Row("thing", "warning", "found", "remedy")
    assert carried_out("thing", lambda: row) is row
