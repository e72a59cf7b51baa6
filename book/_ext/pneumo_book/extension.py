"""The book's Sphinx extension: before pages are read, writes what in them comes from the library, the records and the runs.

    book/generated/*.md         tables and sentences, included by pages
    book/generated/figures/*    drawings and curves
    book/experiments/exp*.md    one page an experiment, all from one template
    book/runs/**                the executed notebooks, or a page that says how to run them

Nothing is written again that is the same already, so a change of text rebuilds the pages that it touches and no other.
"""

import hashlib
import json
import os
import re
from itertools import chain
from pathlib import Path

import matplotlib
from docutils import nodes
from matplotlib.text import Text
from sphinx.errors import ExtensionError

import pneumo_lib
from pneumo_book import (
    blocks,
    comparison,
    experiment_pages,
    launch,
    logo,
    notebook_pages,
    reference,
    stacking,
    study_blocks,
)
from pneumo_book.markdown import command
from pneumo_lib import atomic, paths
from pneumo_lib import records as record_files
from pneumo_lib.data.dataset import PHANTOM
from pneumo_lib.errors import PneumoError
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.records import Record
from pneumo_lib.report.style import COLUMN
from pneumo_lib.study_results import Analysis

STEPS = ("train", "sweep", "test")
COMMITTED = f"{PHANTOM}-demo"
"""The folder of results/ with the notebooks that the book shows where there are no others: phantoms, never patients."""
SMALLEST_PT = 9.0
SYNTHETIC = "<p><strong>Not for clinical use.</strong> All X-rays in this book are synthetic.</p>"
PATIENTS = (
    "<p><strong>Not for clinical use. Not for publication:</strong> this build shows X-rays of patients, which may not be "
    "passed on.</p>"
)


def setup(app) -> dict:
    """Sphinx's entry point."""
    # Before the table of contents is checked against the files that are there.
    app.connect("config-inited", _write, priority=1)
    app.connect("autodoc-process-docstring", to_restructured_text, priority=1)
    app.connect("doctree-read", _keep_percent)
    app.add_transform(stacking.BothDrawings)
    app.connect("html-page-context", _without_thebe, priority=900)
    app.connect("build-finished", _without_unused_mathjax)
    # Pages that compute and the API's pages show the library: another library, and all pages are read again.
    app.add_config_value("pneumo_library", _digest(_library()), "env")
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app, config) -> None:
    try:
        config.myst_substitutions = blocks.substitutions() | config.myst_substitutions
        config.html_theme_options = config.html_theme_options | {"extra_footer": footer()}
        write(Path(app.srcdir) / "book")
    except PneumoError as error:
        # As a sentence; anything else Sphinx reports with the names of its own functions.
        raise ExtensionError(str(error)) from error


def footer() -> str:
    """What stands below every page: whether the executed notebooks that the book shows are those of patients' X-rays."""
    runs = comparison.run_folder()
    if runs is None:
        return SYNTHETIC
    # A run that was cut off has notebooks, but no record yet.
    named = runs.name.startswith(f"{PHANTOM}-")
    return SYNTHETIC if named and all(one.values["synthetic"] for one in record_files.find(runs)) else PATIENTS


def to_restructured_text(app, what, name, obj, options, lines: list[str]) -> None:
    """Docstrings are Markdown where the two differ: `code`, and bars that mean |X|."""
    for number, line in enumerate(lines):
        pieces = re.split(r"`+([^`]*)`+", line)
        pieces[1::2] = [f"``{code.strip()}``" for code in pieces[1::2]]
        pieces[::2] = [text.replace("|", r"\|") for text in pieces[::2]]
        lines[number] = "".join(pieces)


def _keep_percent(app, doctree) -> None:
    """A number stays on one line with its per cent sign."""
    for text in list(doctree.findall(nodes.Text)):
        code = isinstance(text.parent, (nodes.literal, nodes.literal_block))
        if not code and (kept := re.sub(r"(?<=\d) (?=%)", "\u00a0", text)) != text:
            text.parent.replace(text, nodes.Text(kept))


def _without_thebe(app, page, template, context, doctree) -> None:
    """Leaves out the script that runs code in the browser: no page needs it, and Jupyter Book adds it twice, an error."""
    scripts = context.get("script_files", [])
    context["script_files"] = [one for one in scripts if "thebe" not in _script_text(one)]


def _without_unused_mathjax(app, exception) -> None:
    """Leaves out the variants of MathJax that no page loads, a quarter of the book's size."""
    used = Path(app.config.mathjax_path).name
    for variant in Path(app.outdir, "_static", "mathjax").glob("*-*.js"):
        if variant.name not in (used, "node-main.js"):
            variant.unlink()


def _script_text(script) -> str:
    return f"{getattr(script, 'filename', script) or ''} {getattr(script, 'attributes', {}).get('body', '')}".lower()


def write(book: Path) -> None:
    """Writes everything generated into the folder of the book."""
    sets, silver_sets = comparison.shown_sets(), comparison.shown_sets(silver=True)
    claims = study_blocks.load()
    for name, text in (blocks.write_all(sets, silver_sets) | study_blocks.write_all(claims)).items():
        atomic.update_text(book / "generated" / f"{name}.md", text)
    for name, text in experiment_pages.pages(sets, book / "experiments").items():
        atomic.update_text(book / "experiments" / f"{name}.md", text)
    _notebooks(book / "runs")
    _galleries(book / "generated" / "figures", sets)
    _explorer(book, sets)
    atomic.update_text(book / "generated" / "registry.csv", reference.registry_csv())
    for name, text in logo.files().items():
        atomic.update_text(book / "generated" / "static" / name, text)
    _figures(book / "generated" / "figures", sets, silver_sets, claims)


def _notebooks(folder: Path) -> None:
    # One's own runs come first; what is missing there is taken from those that are committed.
    places = [place for place in (comparison.run_folder(), paths.home() / "results" / COMMITTED) if place]
    names = {"data": ("data.ipynb", "The data of these runs")}
    for experiment in EXPERIMENTS:
        for step in STEPS:
            names[f"{experiment}/{step}"] = (f"{experiment}/seed*/{step}.ipynb", f"{experiment}: {step}")
    for name, (pattern, title) in names.items():
        made, missing = folder / f"{name}.ipynb", folder / f"{name}.md"
        executed = next((found for place in places if (found := min(place.glob(pattern), default=None))), None)
        if executed:
            missing.unlink(missing_ok=True)
            # Made anew however old it is: the page there may be of other runs, even of patients' X-rays.
            notebook_pages.make(executed, made, title, launch.line(executed.stem))
        else:
            made.unlink(missing_ok=True)
            atomic.update_text(
                missing, f"# {title}\n\n**Not run here.** This page shows the executed notebook after\n\n{_how(name)}"
            )


def _how(name: str) -> str:
    experiment, _, step = name.rpartition("/")
    parameters = f" -p exp {experiment}" if experiment else ""
    output = f"runs/{experiment}-{step}.ipynb" if experiment else f"runs/{step}.ipynb"
    return command("make book", "# or this notebook alone:", f"papermill notebooks/{step}.ipynb {output}{parameters}")


def _galleries(folder: Path, sets: dict) -> None:
    for name in EXPERIMENTS:
        picture, path = experiment_pages.gallery(name, sets), folder / f"{name}-gallery.png"
        if picture and not (path.is_file() and path.read_bytes() == picture):
            with atomic.replacing(path) as temporary:
                temporary.write_bytes(picture)


def _explorer(book: Path, sets: dict) -> None:
    """The explorer's data, one run of each pipeline that has any, and its page, which lists the best pipeline first."""
    folder = book / "generated" / "static"
    folder.mkdir(parents=True, exist_ok=True)
    have = [one for found in sets.values() for one in found if (one.folder / record_files.EXPLORER).is_file()]
    shown = {name: seeds[0] for name, seeds in record_files.by_pipeline(have).items()}
    first = [record_files.best(have).name] if have else []
    scripts = {name: folder / f"explorer-data-{name}.js" for name in shown}
    for old in set(folder.glob("explorer-data*.js")) - set(scripts.values()):
        old.unlink()
    for name, script in scripts.items():
        atomic.update_text(script, (shown[name].folder / record_files.EXPLORER).read_text(encoding="utf-8"))
    names = json.dumps([*first, *sorted(set(shown) - set(first))])
    page_part = (book / "sweep" / "explorer.html.inc").read_text(encoding="utf-8").replace("{{ pipelines }}", names)
    atomic.update_text(
        book / "generated" / "explorer.md", f"```{{raw}} html\n{page_part}```\n" if have else blocks.NOTHING
    )


def _figures(folder: Path, sets: dict, silver_sets: dict, claims: Analysis) -> None:
    """All figures, when the library or a record has changed since they were drawn; importing what draws takes seconds."""
    stamp, state = folder / "drawn.json", _state([*sets.values(), *silver_sets.values(), *claims.runs.values()])
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == state:
        return
    from pneumo_book import figures, study_figures
    from pneumo_lib import atomic

    folder.mkdir(parents=True, exist_ok=True)
    # The same drawing gives the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "pneumo_lib", "savefig.facecolor": "white"}):
        for name, figure in chain(figures.draw_all(sets, silver_sets), study_figures.draw_all(claims)):
            legible(figure)
            with atomic.replacing(folder / name) as temporary:
                kind = Path(name).suffix[1:]
                figure.savefig(temporary, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    atomic.write_json(stamp, state)


def legible(figure) -> None:
    """Enlarges text that would be smaller than `SMALLEST_PT` at the width of a page's column."""
    smallest = SMALLEST_PT * max(1.0, figure.get_figwidth() / COLUMN)
    for axis in figure.axes:
        for one in (axis.xaxis, axis.yaxis):
            # Ticks are made anew when a figure is drawn, so that their size has to be set for all of them.
            size = max((label.get_fontsize() for label in one.get_ticklabels()), default=smallest)
            one.set_tick_params(labelsize=max(size, smallest))
    for text in figure.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), smallest))


def _state(sets: list[list[Record]]) -> dict[str, str]:
    """What figures depend on: a digest of the library and one of the records."""
    files = [
        path for found in sets for record in found for path in sorted(record.folder.rglob("*"))
        if path.suffix in (".csv", ".json")
    ]  # fmt: skip
    return {"library": _digest(_library()), "records": _digest(files)}


def _library() -> list[Path]:
    packages = (Path(pneumo_lib.__file__).parent, Path(__file__).parent)
    return sorted(path for package in packages for path in package.rglob("*") if path.suffix in (".py", ".csv"))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.fsencode(path) + b"\0" + path.read_bytes())
    return digest.hexdigest()
