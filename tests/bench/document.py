"""Writes what was measured into a page of the documentation; pictures and raw figures go into a folder beside it."""

from pathlib import Path
from typing import Final

import orjson

from tests.bench import plots
from tests.bench.results import Results, markdown

BEGIN: Final = "<!-- figures: written by python -m tests.bench, not by hand -->"
END: Final = "<!-- figures: end -->"


def write(results: Results, page: Path) -> None:
    """Puts tables and pictures between the marks of the page. Raises ValueError when it has none, and OSError."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for figures: put {BEGIN} and {END} into it")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    drawn = plots.draw(results.medians(), folder)
    pictures = {title: path.relative_to(page.parent).as_posix() for title, path in drawn.items()}
    page.write_text(f"{before}{BEGIN}\n\n{markdown(results, pictures)}\n\n{END}{after}", encoding="utf-8")
    runs = {one.name: [run.as_dict() for run in figures] for one, figures in results.figures.items()}
    raw = orjson.dumps({"facts": results.facts, "figures": runs}, option=orjson.OPT_INDENT_2)
    (folder / "figures.json").write_bytes(raw)
