import subprocess
import sys

import pytest

from bie.planning.compose import Configurations
from bie.planning.help import ABOUT, help_of


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_help_says_what_bie_does_and_names_every_choice(verb: str, configurations: Configurations):
    text = help_of(verb)
    assert text.startswith(f"usage: bie {verb} ")
    assert text.index(ABOUT) < text.index("config groups")
    groups = text[text.index("config groups") :].split("\n\n")[0].splitlines()[1:]
    listed = {line.split()[0]: line for line in groups}
    for group, choices in configurations.groups.items():
        own = [choice for choice in choices if choice != "basic"]
        assert all(choice in listed[group].split() for choice in own)


def test_help_loads_nothing_but_the_standard_library():
    code = (
        "import sys; from bie.run import main; main(['--help']); "
        "names = {name.split('.')[0] for name in sys.modules if name[0] != '_'}; "
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "['bie']"
