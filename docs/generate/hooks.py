"""What mkdocs is told besides its file: generated pages, the README as the first one, links, equations."""

import re
from collections.abc import Callable
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.generate import cards, keys

ROOT = Path(__file__).resolve().parents[2]

_WIDE = "---\nhide: [toc]\n---\n"  # a page without a table of contents has its room

GENERATED: dict[str, Callable[[], str]] = {
    "index.md": lambda: _WIDE + (ROOT / "README.md").read_text().replace("](docs/", "]("),
    "keys.md": keys.page,
    "metrics.md": cards.page,
    "contributing.md": lambda: (ROOT / "CONTRIBUTING.md").read_text().replace("](docs/", "]("),
    "changes.md": lambda: (ROOT / "CHANGELOG.md").read_text().replace("](docs/", "]("),
}
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)]*)?\)")
_BLOCK = re.compile(r"^```math\n(.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"\$`(.+?)`\$")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Pages that the menu does not name come at its end, so that a new page is never lost."""
    assert config.nav is not None
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    found = (str(path.relative_to(config.docs_dir)) for path in Path(config.docs_dir).rglob("*.md"))
    more = sorted(page for page in found if page not in named and not page.startswith("examples/"))
    for title, pages in (
        ("Studies", [p for p in more if "/" in p]),
        ("More", [p for p in more if "/" not in p]),
    ):
        if pages:
            config.nav.append({title: pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in the folder."""
    for name, text in GENERATED.items():
        files.append(File.generated(config, name, content=text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Equations as MathML, and links to files outside the site as their names."""
    markdown = _BLOCK.sub(lambda found: f"{_mathml(found[1], 'block')}\n", markdown)
    # within a span: a line that begins with an element unknown to Markdown would be a block of its own
    markdown = _INLINE.sub(lambda found: f"<span>{_mathml(found[1], 'inline')}</span>", markdown)
    source = ROOT if page.file.src_uri in GENERATED else Path(config.docs_dir, page.file.src_uri).parent
    return _LINK.sub(lambda found: _outside(found, source, Path(config.docs_dir)), markdown)


def _mathml(tex: str, display: str) -> str:
    spaced = re.sub(r"\\(log|exp)\b", r"\\\1\\,", " ".join(tex.split()))  # the converter sets no space there
    return str(convert(spaced, display=display))


def _outside(found: re.Match[str], source: Path, docs: Path) -> str:
    """A link as it is, if it stays in the site; else text, if the repository has that file."""
    text, target = found[1], (source / found[2]).resolve()
    if any(_is_in_site(path, docs) for path in (target, (docs / found[2]).resolve())):
        return found[0]
    if not (target.exists() and target.is_relative_to(ROOT)):
        raise PluginError(f"{found[0]}: the repository has no {found[2]}")
    name = str(target.relative_to(ROOT))
    return text if name in text else f"{text} (`{name}`)"


def _is_in_site(path: Path, docs: Path) -> bool:
    inside = path.is_relative_to(docs) and not path.is_relative_to(docs / "examples")
    return inside and (path.exists() or path.name in GENERATED)
