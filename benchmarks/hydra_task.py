"""A task that does nothing, for Hydra's own launcher; runs in an environment that knows nothing of bie."""

import hydra
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store("config", {"scale": 100.0, "seed": 0})


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(config: object) -> None:
    pass


if __name__ == "__main__":
    main()
