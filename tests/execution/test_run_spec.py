"""What is left of a run whose process has died."""

import signal
import subprocess
import sys
from dataclasses import replace

from bie.execution.run_spec import disclaim, leave_killed
from bie.store.claims import CLAIM, take
from bie.store.owner import Owner
from bie.store.record import FAILED
from tests.execution.runs import Make, names


def dead_owner() -> Owner:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return replace(Owner.here(), pid=process.pid)


def test_the_claim_of_a_dead_process_goes_with_its_failure(make_run: Make) -> None:
    spec = make_run()
    take(spec.folder, dead_owner())
    outcome = leave_killed(spec, "SIGKILL")
    assert (outcome.status, outcome.cause) == ("failed", "killed")
    assert names(spec) == {FAILED}


def test_nobody_elses_claim_is_touched(make_run: Make) -> None:
    spec = make_run()
    with take(spec.folder, Owner.here()):  # type: ignore[union-attr]
        disclaim(spec)
        assert leave_killed(spec, "SIGKILL").cause == "killed"
        assert names(spec) == {CLAIM}
    take(spec.folder, dead_owner())
    disclaim(spec)
    assert names(spec) == set()
    disclaim(spec)
