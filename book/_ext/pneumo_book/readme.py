"""The README's generated part: `python -m pneumo_book.readme` writes it from `results/` into README.md."""

from pneumo_book import comparison, radiologists_masks, silver, study_blocks, verdict
from pneumo_lib import atomic, paths, records, study_results
from pneumo_lib.records import Record

BEGIN, END = "<!-- generated: make results -->", "<!-- end of the generated part -->"


def generated() -> str:
    """Verdict, picture, answer table and the studies' verdict of the committed records, as Markdown."""
    everything = records.find(paths.results())
    found, silver_found = ([record for record in everything if record.silver == kind] for kind in (False, True))
    table = comparison.answer_table(found).reset_index(names="").to_dict("split")
    rows = [table["columns"], ["---"] * len(table["columns"]), *table["data"]]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines = [
        verdict.verdict(found),
        "",
        *_picture(found),
        *lines,
        "",
        f"*{f'Ours: {comparison.described(found)}. {comparison.brackets(found)}'.strip()}*",
        "",
        comparison.departures(found),
    ]
    claim = study_blocks.verdict_sentence(
        study_results.analyse(study_blocks.published_folder()), page="book/claims/claims.md"
    )
    tested = radiologists_masks.sentence(records.find(paths.results(), kind="external"))
    return "\n".join([*lines, "", claim, "", tested, "", *([silver.sentence(silver_found)] if silver_found else [])])


def _picture(found: list[Record]) -> list[str]:
    """The kept gallery of the best record, if there is one."""
    path = records.best(found).folder / "gallery.png" if found else None
    if path is None or not path.is_file() or not path.resolve().is_relative_to(paths.repository()):
        return []
    top = records.best(found)
    alt = f"Test images of {top.name}: original, ground truth, predicted; {top.label}"
    return [f"![{alt}]({path.resolve().relative_to(paths.repository())})", ""]


def updated(text: str) -> str:
    """README's text with today's generated part."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{generated()}\n\n{END}{after}"


def main() -> None:
    path = paths.repository() / "README.md"
    with atomic.replacing(path) as temporary:
        temporary.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
