"""The command `pneumo`: the steps of a run, prediction, and work with files; its options come from `PARAMETERS`.

Several GPUs: `torchrun --no-python --nproc-per-node 4 pneumo train --exp exp4 --profile paper`, or
`srun --nodes 1 --ntasks-per-node 4 pneumo train ...`, one task per GPU; Lightning refuses srun's `-n`.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from pneumo_lib import paths
from pneumo_lib.errors import PneumoError, RadiographError
from pneumo_lib.parameters import PARAMETERS, SWEEP, TEST, TRAIN


def _options(names: Sequence[str]) -> Callable:
    """Decorates a command with options from the table of parameters."""

    def decorate(command: Callable) -> Callable:
        for name in reversed(names):
            known = PARAMETERS[name]
            flag = f"--{name}".replace("_", "-")
            kind = {"is_flag": True} if known.default is False else {"type": type(known.default)}
            command = click.option(
                flag, name, default=known.default, show_default=known.default != "", help=known.meaning, **kind
            )(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pneumo-lib")
def pneumo() -> None:
    """2ST-UNet, replicated: two-stage training of a U-Net that outlines pneumothorax in chest X-rays.

    A run is an experiment on a data set with a profile and a seed: train it, sweep its thresholds on validation images,
    test it. Not for clinical use.
    """


@pneumo.command()
@_options(TRAIN)
def train(accumulate: int, precision: str, logger: str, force: bool, **named) -> None:
    """Train all stages of a run; an interrupted run resumes."""
    from pneumo_lib import runs

    # A wrong value is answered before PyTorch is imported.
    run = runs.start(**named, accumulate=accumulate, precision=precision, logger=logger, force=force)
    from pneumo_lib import workflow

    workflow.train_run(run, accumulate, precision, force, logger)
    click.echo(f"{paths.shown(run.folder)} holds the weights; next: pneumo sweep")


@pneumo.command()
@_options(SWEEP)
def sweep(tta: str, rule: str, criterion: str, **named) -> None:
    """Choose a trained run's thresholds on its validation images."""
    from pneumo_lib import parameters, runs

    run = runs.start(**named)
    parameters.checked_transforms(tta)
    parameters.checked_rule(rule)
    parameters.checked_criterion(criterion)
    from pneumo_lib import workflow
    from pneumo_lib.evaluation import postprocessing

    chosen = workflow.sweep_run(run, tta, rule, criterion)
    click.echo(
        f"B-TH {chosen.binarization_threshold:.3f}, R-TH {chosen.removal_threshold}, "
        f"{criterion} on validation {chosen.score:.4f}; next: pneumo test"
    )
    for edge in postprocessing.edges(chosen):
        click.echo(f"note: the chosen {edge} lies at the edge of its grid; a better one may lie beyond it.")


@pneumo.command()
@_options(TEST)
def test(tta_table: bool, test_data: str, test_patients: str, seen: str, **named) -> None:
    """Score a run on its test images, or on other data, and write its record."""
    from pneumo_lib import records, runs

    run = runs.start(**named)
    from pneumo_lib import workflow
    from pneumo_lib.report.style import interval_text

    run = runs.on_other_data(run, test_data, test_patients, seen) if test_data else run
    record = workflow.test_run(run, tta_table)
    click.echo(f"{record.name}, {record.label}: mean DSC {interval_text(records.headline(record)['dsc'])} on test")


@pneumo.command()
@click.argument("name", metavar="STUDY|all")
@click.option("--arm", help="of the study; default: every arm")
@click.option("--seeds", default="", help="with commas, such as 0,1,2; default: as many as the plan gives the arm")
@click.option("--data", default="phantom", show_default=True, help=PARAMETERS["data"].meaning)
@click.option("--profile", default="study", show_default=True, help="scale of the runs")
@click.option("--prepare", is_flag=True, help="only draw the phantoms and prepare their arrays")
@click.option("--missing", is_flag=True, help="only list what is left to run")
@click.option("--keep", is_flag=True, help="keep the weights and probability maps of finished runs")
def study(name, arm, seeds, data, profile, prepare, missing, keep) -> None:
    """Run what a study of the plan needs and has no record of yet; pneumo_lib/studies.py has the plan."""
    from pneumo_lib import study as studying

    jobs = studying.jobs(name, arm, studying.parse_seeds(seeds), profile)
    opened = studying.open_data(data, profile)
    if prepare:
        studying.prepare(opened)
        click.echo(f"{paths.shown(opened.folder)} is ready.")
        return
    left = [job for job in jobs if not studying.is_done(studying.run_of(job, opened))]
    if missing:
        click.echo("\n".join(map(str, left)) or "Nothing is left to run.")
        return
    for job in left:
        click.echo(f"{job} ...")
        studying.run_one(studying.run_of(job, opened), keep)
    click.echo(f"{len(left)} runs done now, {len(jobs) - len(left)} were there.")


@pneumo.command()
@click.argument("xrays", nargs=-1, required=True)
@click.option("--model", required=True, help="folder of a run, or of exported weights")
@click.option("--out", required=True, help="folder to write into")
@click.option("--binarization-threshold", type=float, help="B-TH instead of the one chosen by the sweep")
@click.option("--removal-threshold", type=int, help="R-TH in pixels, instead of the one chosen by the sweep")
@click.option("--no-segmentation", is_flag=True, help="leave out DICOM Segmentation objects")
@click.option("--any-image", is_flag=True, help="predict files too whose header says that they show no frontal chest")
@click.option("--overwrite", is_flag=True, help="replace the predictions that OUT holds")
@click.option(
    "--continue", "go_on", is_flag=True, help="keep the predictions that OUT holds and predict the other files"
)
def predict(
    xrays, model, out, binarization_threshold, removal_threshold, no_segmentation, any_image, overwrite, go_on
) -> None:
    """Outline pneumothorax in X-rays: DICOM files, PNGs or folders of them."""
    if overwrite and go_on:
        raise click.UsageError("--overwrite and --continue exclude each other; give one of them.")
    existing = "overwrite" if overwrite else "continue" if go_on else "refuse"
    # Answered before PyTorch is imported.
    if existing == "refuse" and (paths.given(out) / "predictions.csv").exists():
        raise RadiographError(
            f"{paths.given(out)} already contains predictions; --overwrite replaces them, --continue adds the other files."
        )
    from pneumo_lib.evaluation import inference, predict_files

    trained = inference.load_model(model, binarization_threshold, removal_threshold)
    found = predict_files.predict_files(
        xrays, trained, out, segmentation=not no_segmentation, any_image=any_image, existing=existing
    )
    for line in (*found.failures.values(), *found.notes()):
        click.echo(line, err=True)
    positive = int(found.predictions["pneumothorax"].sum())
    click.echo(
        f"{len(found.predictions)} X-rays predicted, {positive} with a pneumothorax, {len(found.failures)} failed or refused; "
        f"see {out}. Not for clinical use."
    )


@pneumo.command()
@click.argument("predictions")
@click.argument("out")
@click.option("--sample", help="the challenge's sample submission")
@click.option("--fill", is_flag=True, help="submit images without a prediction as empty")
def submit(predictions, out, sample, fill) -> None:
    """Write the challenge's CSV from a folder that `pneumo predict` wrote; OUT must not exist."""
    from pneumo_lib.evaluation import submission

    click.echo(f"{submission.from_predictions(predictions, out, sample, fill)} is written and checked.")


@pneumo.command()
@click.argument("source")
@click.option("--to", required=True, metavar="DIR", help="folder to put it in")
def download(source, to) -> None:
    """Get a copy of SIIM-ACR; an unknown SOURCE lists the known ones."""
    from pneumo_lib.data import download as downloads
    from pneumo_lib.data import siim

    folder = downloads.fetch(source, to)
    click.echo(siim.report(siim.load_index(folder)).to_string(index=False))
    click.echo(f"{folder} is ready; pass it as the parameter `data`. The archive in it may be deleted.")


@pneumo.command()
@click.argument("folder")
@click.option("--patients", help=PARAMETERS["patients"].meaning)
@click.option("--grey-levels", type=Path, metavar="CSV", help="also write how often each grey level occurs")
def inspect(folder, patients, grey_levels) -> None:
    """Report on a copy of SIIM-ACR: images, masks, patients, quirks."""
    from pneumo_lib.data import siim

    index = siim.load_index(folder, patients)
    click.echo(siim.report(index).to_string(index=False))
    if grey_levels:
        from pneumo_lib import atomic
        from pneumo_lib.data import radiographs
        from pneumo_lib.report import data_figures

        atomic.write_csv(grey_levels, data_figures.grey_table(map(radiographs.read_image, index["path"])))
        click.echo(f"{grey_levels} is written; no X-ray can be told from it.")


@pneumo.command()
@click.argument("source", type=Path)
@click.argument("output", type=Path)
@click.option(
    "-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="a parameter of the notebook; repeatable"
)
def notebook(source, output, given) -> None:
    """Execute a notebook, strictly: unknown parameters stop it before anything runs."""
    from pneumo_lib import notebook as notebooks

    notebooks.run(source, output, dict(given))


@pneumo.command()
@click.argument("run")
@click.argument("folder", type=Path)
@click.option("--onnx", is_flag=True, help="also write model.onnx, checked against PyTorch; needs the extra onnx")
@click.option("--half", is_flag=True, help="filters in float16: half the size; read back like any other file")
def export(run, folder, onnx, half) -> None:
    """Export a run's weights as segmentation-models-pytorch's `from_pretrained` reads them."""
    from pneumo_lib.evaluation import inference
    from pneumo_lib.model import weights

    click.echo(weights.export(inference.last_stage(paths.given(run)), folder, onnx, half))


@pneumo.command()
@click.argument("runs_folder", metavar="RUNS", type=Path)
@click.argument("results", type=Path)
def publish(runs_folder, results) -> None:
    """Copy what the book shows of all runs below RUNS to RESULTS; of patients' X-rays numbers only, without ids."""
    from pneumo_lib import records
    from pneumo_lib.errors import RecordError

    written = records.publish(runs_folder, results)
    if not written:
        raise RecordError(f"no records below {runs_folder}; run the experiments first, for example with: make runs")
    for path in written:
        click.echo(f"{path} ({path.stat().st_size / 1000:.0f} kB)")


@pneumo.command()
@_options(("data", "profile", "split"))
def runs(data: str, profile: str, split: str) -> None:
    """List the runs on a data set: how far each is, its scores and its folder."""
    from pneumo_lib import runs as run_files

    table = run_files.overview(data, profile, split)
    click.echo(table.to_string(index=False, na_rep="-") if len(table) else "No run yet; the first: pneumo train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 1 after an error, which is one line on stderr."""
    try:
        return pneumo.main(arguments, prog_name="pneumo", standalone_mode=False) or 0
    except PneumoError as error:
        click.echo(f"error: {error}", err=True)
    except click.exceptions.Abort as stopped:
        again = "stopped; run it again to continue: train without --force, predict with --continue"
        click.echo(str(stopped.__cause__ or "") or again, err=True)
        return 130
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
