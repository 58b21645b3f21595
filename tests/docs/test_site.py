"""The site is built, strictly, and holds what it is made from."""

import os
import re
from pathlib import Path

import pytest

from bie.metrics.cards import CARDS
from bie.planning.compose import Configurations
from bie.store.provenance import configuration_folder
from docs.generate import keys

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site; a broken link, anchor or page outside the menu would have ended it."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    folder: Path = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "NO_MKDOCS_2_WARNING", "1")
        patch.chdir(ROOT)
        config = load_config("mkdocs.yml", site_dir=str(folder))
        assert config.strict
        build(config)
    return folder


def test_nothing_is_fetched_from_elsewhere(site):
    """Links lead elsewhere; styles, scripts, fonts and pictures do not."""
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?(https?:[^\"' >]+)", page.read_text()
        )
        assert not [url for url in loaded if "canonical" not in url], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:", style.read_text()), style.name


def test_every_metric_has_its_card(site):
    text = (site / "metrics.html").read_text()
    assert not [name for name in CARDS if f'id="{name}"' not in text]
    # each says what it is before its row of direction, range and source
    assert not [
        name for name in CARDS if not re.search(rf'<h2 id="{name}">.*?</h2>\s*<p>(?!<code>{name}<)', text)
    ]


def test_every_key_is_on_the_page_of_keys(site):
    """All that acts under some choice of groups, as planning itself finds it; what nobody sets apart."""
    text = (site / "keys.html").read_text()
    configurations = Configurations(configuration_folder())
    sections = {key.rpartition(".")[0] for key in configurations.keys}
    fixed, open_to_any = ("_target_", "source", "method", "kind"), ("study.margins.", "site.environment.")
    named = [key for key in configurations.keys if key not in sections and not key.startswith(open_to_any)]
    own = [key for key in named if key.rpartition(".")[2] not in fixed]
    assert len(own) > 100
    assert not [key for key in own if f"<code>{key}</code>" not in text]


def test_every_key_has_a_meaning():
    rows = re.findall(r"^\| `(\S+)` \|.*\|([^|]*)\|$", keys.page().replace(r"\|", ""), re.M)
    assert len(rows) > 300
    assert not [name for name, meaning in rows if not meaning.strip()]


def test_ranges_and_defaults_are_those_of_the_schema(site):
    text = re.sub(r"<[^>]+>", "", (site / "keys.html").read_text())
    row = r"{}\s+{}\s+{}\s"
    assert re.search(row.format(r"split\.train_fraction", "number &gt; 0, &lt; 1", r"0\.6"), text)
    assert re.search(row.format(r"mine\.ema", "number &gt; 0, ≤ 1", r"0\.01"), text)
    assert re.search(row.format(r"train\.kl\.mode", "warmup, beta, capacity", "warmup"), text)


def test_equations_are_mathml(site):
    text = (site / "method.html").read_text()
    assert text.count("<math") > 40
    assert "$`" not in text
    assert "```math" not in text


def test_examples_stand_in_the_page_that_speaks_of_them(site):
    text = re.sub(r"<[^>]+>", "", (site / "extending.html").read_text())
    assert "class CoralPenalty(Penalty)" in text
    assert "--8" not in text
