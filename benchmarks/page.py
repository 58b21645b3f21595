"""Put what a benchmark found between its marks in a page of the documentation."""

import os
import platform
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- NAME: start -->`` and ``<!-- NAME: end -->``."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    before, rest = page.read_text().split(start)
    _, after = rest.split(end)
    page.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}")


def processor() -> str:
    """Name of the processor, and how many cores the machine has."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} x {os.cpu_count()}"
