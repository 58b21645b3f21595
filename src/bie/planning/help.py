"""``--help`` of the verbs that take overrides, from the file names in ``conf/`` alone."""

from pathlib import Path

from bie.store.provenance import configuration_folder

ABOUT = """\
bie runs the experiment: does a penalty on the dependence between a cell's latent vector and its batch make a
single-cell VAE (scVI) better, by how much, and how sure are we?"""

_TEXT = """\
usage: bie {verb} [FLAG ...] [OVERRIDE ...]

{about}
{does}

config groups (GROUP=CHOICE):
{groups}

Any key can be set (KEY=VALUE) and with -m swept (a,b,c   seed=0..99   range(0,1,0.1)   zip(a=[1,2],b=[3,4])).
  bie run --cfg job                                         shows all keys and values
  bie run dataset=zinb model=scvi_mine                      one run
  bie run -m model=scvi,scvi_mine mine.scale=1000,5000 seed=0..99
  bie run -m study=trade_off hydra/launcher=submitit_slurm site=spartan site.account=ID
                                                            the same as Slurm job arrays
{flags}

Results: outputs/<version>/<study>/ (outputs=, version=, study.name=). Rerunning the same command
does only what is missing. Exit codes: 0 all fine, 1 some runs failed or are missing, 2 bad input."""

_OWN_FILES = """\
  -cd, --config-dir DIR    a folder with config groups of your own
  -cn, --config-name NAME  the file to begin with, instead of config"""

FLAGS = {
    "run": f"""\
flags, as in any Hydra application:
  -m, --multirun           run a sweep
  -c, --cfg job|hydra|all  show the configuration, run nothing; with --resolve: ${{...}} replaced by values,
                           -p, --package KEY: a part of it, -m: of each combination
  -i, --info [WHAT]        show defaults list, search path, plugins, ...
{_OWN_FILES}
  -sc install=bash         tab completion: eval "$(bie run -sc install=bash)"
  --hydra-help, --version  of Hydra""",
    "plan": f"""\
flags:
  --json                   runs, done, todo, dropped, jobs, waves as JSON
  --power                  what difference these seeds can see, from studies that are done
  -m, --multirun           taken for convenience: a plan may always be of a sweep
{_OWN_FILES}""",
}
_DOES = {
    "run": "One experiment, or with -m a sweep.",
    "plan": "What bie run -m would do with these overrides; launches, downloads and writes nothing.",
}


def help_of(verb: str) -> str:
    """Help of ``run`` or ``plan``."""
    groups = _groups(configuration_folder())
    return _TEXT.format(verb=verb, about=ABOUT, does=_DOES[verb], groups=groups, flags=FLAGS[verb])


def show_help(verb: str) -> int:
    """Print it; the exit code."""
    print(help_of(verb))
    return 0


def _groups(conf: Path) -> str:
    found: dict[str, list[str]] = {}
    for path in sorted(conf.rglob("*.yaml")):
        found.setdefault(str(path.parent.relative_to(conf)), []).append(path.stem)
    shown = {group: names for group, names in found.items() if group not in (".", "hydra/sweeper")}
    return "\n".join(f"  {group:<15} {' | '.join(names)}" for group, names in shown.items())
