#!/usr/bin/env bash
# hydra-core 1.3.8: sort(range(50,300,100),reverse=true) sweeps over 200, 100, 0 and not over 250, 150, 50.
#
# A range that is sorted downwards swaps start and stop and keeps the step, instead of starting at its last value:
# other values come out, of which one is below the start that was asked for. A list of the same numbers is right.
# Seen: range(50,300,100) is 50, 150, 250; sorted downwards it is 200, 100, 0.
# What it means: a sweep runs values nobody asked for, 0 among them. What helps: a list, sort(50,150,250,reverse=true).
source "$(dirname "$0")/environment.bash"
packages hydra-core==1.3.8
"$python" - <<'END'
import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser


def swept(text):
    return list(OverridesParser.create().parse_override(f"x={text}").sweep_iterator())


up, down, listed = (swept(text) for text in (
    "range(50,300,100)", "sort(range(50,300,100),reverse=true)", "sort(50,150,250,reverse=true)"))
print(f"hydra-core {hydra.__version__}: range {up}, sorted downwards {down}, as a list {listed}")
assert up == ["50", "150", "250"] or up == [50, 150, 250]
assert [float(x) for x in down] == [200, 100, 0]
assert [float(x) for x in listed] == [250, 150, 50]
END
