"""``bie run`` as a Hydra application: Hydra's command line, over configurations that bie expands and prunes.

Hydra composes one configuration of its overrides. Here a text such as ``model=scvi,scvi_mine mine.scale=1,2``
stands for grid points, in each of which some keys do not act; so Hydra is handed, for whatever it is asked to
show or to launch, the finished configuration of a grid point.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra.utils
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from bie.errors import BadInput
from bie.planning.compose import Configurations
from bie.planning.expand import Combination, Expansion, expand
from bie.planning.hydra_keys import for_bie, is_multirun, searchpath
from bie.planning.keys import as_bad_input
from bie.planning.settings import check_device, check_environment
from bie.store.provenance import configuration_folder


class Request:
    """What a command line asks for; to Hydra, the function that does one run (`one_run`)."""

    def __init__(
        self, argv: Sequence[str], expansion: Expansion, one_run: Callable[[DictConfig], int]
    ) -> None:
        self.argv, self.expansion, self.one_run = list(argv), expansion, one_run

    def __call__(self, config: DictConfig) -> int:
        """Do the run of a finished configuration; the exit code."""
        return self.one_run(config)

    def overrides_of(self, combination: Combination, seed: int) -> list[str]:
        """Overrides by which Hydra alone comes to the configuration of a run."""
        keys = self.expansion.launch_keys | combination.keys | {"seed": seed}
        chosen = [f"{g}={choice}" for g, choice in combination.choices.items() if not g.startswith("hydra/")]
        return [*chosen, *(f"++{key}={_text(value)}" for key, value in keys.items())]


def _text(value: Any) -> str:
    """Value in Hydra's grammar."""
    return str(Override._get_value_element_as_str(_quoted(value)))


def _quoted(value: Any) -> Any:
    if isinstance(value, str):
        return QuotedString(value, Quote.single)
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return {key: _quoted(item) for key, item in value.items()} if isinstance(value, dict) else value


class Application(Hydra):
    """Hydra, with bie's configuration of a grid point wherever Hydra composes one."""

    def __init__(self, configurations: Configurations, expansion: Expansion) -> None:
        super().__init__("bie", configurations.loader)
        self.configurations, self.expansion = configurations, expansion
        self.shown = expansion.combinations[0]
        self.resolved = False  # whether what is shown has values in the place of ${...}

    def compose_config(  # type: ignore[override]  # what Hydra 1.4 adds is among `how`
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        with_log_configuration: bool = False,
        **how: Any,
    ) -> DictConfig:
        """The configuration of the grid point that is shown; Hydra's own where none is asked for."""
        if config_name is None:
            return super().compose_config(config_name, overrides, run_mode, with_log_configuration, **how)
        point = self.shown
        keys = self.expansion.launch_keys | point.keys | {"seed": point.seeds[0]}
        whole = self.configurations.composed(point.choices).finished(keys)
        with open_dict(whole):
            whole.hydra.mode = run_mode
            whole.hydra.overrides.task = [text for text in overrides if not text.startswith("hydra")]
        return whole

    def get_sanitized_cfg(self, cfg: DictConfig, cfg_type: str) -> DictConfig:
        """The part that is asked for; Hydra's own refers to keys outside it, such as ``outputs``."""
        if self.resolved and cfg_type == "hydra":
            OmegaConf.resolve(cfg.hydra)
        return super().get_sanitized_cfg(cfg, cfg_type)


def main(argv: Sequence[str], one_run: Callable[[DictConfig], int]) -> int:
    """Do what a command line of Hydra says; the exit code. Launchers from elsewhere call `one_run`.

    Raises
    ------
    BadInput
        Anything that cannot be read, is unknown or out of range.
    """
    options = _options(argv)
    if options.shell_completion:
        return _complete(options)
    configurations = configurations_of(options)
    if options.hydra_help:
        return _hydra_help(configurations)
    expansion = expand(for_bie(options.overrides), configurations)
    if expansion.swept and not options.multirun:
        raise BadInput("this is a sweep, more than one run: add -m (python -m bie.run -m ...)")
    application = Application(configurations, expansion)
    with as_bad_input(configurations.name):
        if options.cfg:
            return _show(application, options)
        if options.info:
            chosen = [f"{group}={choice}" for group, choice in application.shown.choices.items()]
            application.show_info(options.info, configurations.name, chosen)
            return 0
    check_device(expansion.settings)  # before the cells are read
    if warning := check_environment(expansion.settings):
        print(warning)
    return _launch(application, Request(argv, expansion, one_run), options.overrides)


def _launch(application: Application, request: Request, overrides: list[str]) -> int:
    callbacks = application.configurations.composed(application.shown.choices).whole.hydra.callbacks
    try:
        with _allowed(callbacks or {}):
            code: int = application.multirun(application.configurations.name, request, overrides)
    except InstantiationException as error:  # of a callback, of which Hydra makes one before all else
        with as_bad_input("hydra/callbacks"):
            raise error
    return code


def _allowed(callbacks: Mapping[str, Any]) -> contextlib.AbstractContextManager[object]:
    """Let Hydra 1.4 make the callbacks that the user has chosen; 1.3 asks for no such leave."""
    allow = getattr(hydra.utils, "execution_whitelist", None)
    sections = [each for each in callbacks.values() if isinstance(each, Mapping)]
    named = [str(each["_target_"]) for each in sections if "_target_" in each]
    return allow(named) if allow and named else contextlib.nullcontext()


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = get_args_parser()
    parser.prog = "bie run"
    options = parser.parse_intermixed_args(list(argv))
    options.multirun = options.multirun or is_multirun(options.overrides)
    if options.config_path is not None:
        raise BadInput("--config-path: bie needs its own conf/. To add a folder of yours: --config-dir DIR")
    if options.experimental_rerun is not None:
        raise BadInput("--experimental-rerun: what was run is in its record; the same overrides run it again")
    if options.resolve and not options.cfg:
        parser.error("--resolve goes with --cfg")
    if sum(map(bool, (options.cfg, options.info, options.shell_completion, options.hydra_help))) > 1:
        parser.error("only one of --cfg, --info, --shell-completion and --hydra-help")
    return options


def configurations_of(options: argparse.Namespace) -> Configurations:
    """The config groups that a command line names."""
    own = None if options.config_dir is None else Path(options.config_dir)
    name = (options.config_name or "config").removesuffix(".yaml")
    return Configurations(configuration_folder(), own, name, searchpath(options.overrides))


def _show(application: Application, options: argparse.Namespace) -> int:
    """Show the configuration of each grid point, in documents of YAML where there are several."""
    points = application.expansion.combinations
    application.resolved, code = options.resolve, 0
    for number, point in enumerate(points, start=1):
        if len(points) > 1 or len(point.seeds) > 1:
            seeds = f"; {len(point.seeds)} seeds, the first shown" if len(point.seeds) > 1 else ""
            print(f"---\n# {number} of {len(points)} combinations{seeds}")
        application.shown = point
        try:
            application.show_cfg(
                application.configurations.name, [], options.cfg, options.package, options.resolve
            )
        except SystemExit:  # Hydra has said that there is no such package
            code = 2
    return code


def _hydra_help(configurations: Configurations) -> int:
    nothing = argparse.Namespace(overrides=[], resolve=False)
    Hydra("bie", configurations.loader).hydra_help(None, get_args_parser(), nothing)
    return 0


def _complete(options: argparse.Namespace) -> int:
    """Install or answer tab completion of ``bie``."""
    sys.argv[0] = "bie"  # after which Hydra names what is completed, however it was started
    typed = options
    if any(text.startswith("query=") for text in options.overrides):
        if "COMP_LINE" not in os.environ:
            raise BadInput(
                f"--shell-completion {' '.join(options.overrides)}: a shell asks so, with the line that it "
                'completes in COMP_LINE. To make bash do that: eval "$(bie run -sc install=bash)"'
            )
        words = os.environ["COMP_LINE"].split(" ")[1:]
        words = words[1:] if words[:1] in (["run"], ["plan"]) else words
        if words[-1:] and words[-1].startswith("-"):
            return 0
        typed, _ = get_args_parser().parse_known_intermixed_args(words)
        if typed.overrides[-1:] != words[-1:]:  # the value of a flag is typed: bash completes a path
            return 0
        if typed.config_dir is not None:
            typed.config_dir = Path(typed.config_dir).expanduser()  # the shell has not done so yet
        os.environ["COMP_LINE"] = " ".join(["bie", *typed.overrides])  # Hydra is not to read the flags again
    configurations = configurations_of(typed)
    with as_bad_input("completion"):
        Hydra("bie", configurations.loader).shell_completion(configurations.name, options.overrides)
    return 0
