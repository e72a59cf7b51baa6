"""The graph of the whole replication: data → train → sweep → test → book; exp3 waits for exp2's weights.

    snakemake --cores 2 book                                         the five experiments on the phantom, and the book
    snakemake --cores 8 --config data=/data/siim profile=paper runs  the real thing
    snakemake --cores 2 --config profile=study study                 every arm of every study, one run per job
"""

import os
import shlex
import sys
import zlib
from pathlib import Path

from pneumo_lib import experiments, profiles, runs as run_files, studies, study
from pneumo_lib.errors import PneumoError


def literal(text):
    """A text with nothing in it that Snakemake would fill in."""
    return text.replace("{", "{{").replace("}", "}}")


def quoted(text):
    """A text as one word of a shell command."""
    return literal(shlex.quote(text))


def digest(files):
    """One number for the contents and names of files."""
    return zlib.crc32(b"".join(str(path).encode() + path.read_bytes() for path in sorted(files) if path.is_file()))


# A folder named 2019 is a number to Snakemake.
DATA = str(config.get("data", os.environ.get("PNEUMO_DATA", "phantom")))
PATIENTS = str(config.get("patients", os.environ.get("PNEUMO_PATIENTS", "")))
ON_ERROR = config.get("on_error", "stop")
PROFILE, SEED, SPLIT = config.get("profile", "demo"), config.get("seed", 0), config.get("split", "auto")
EXPERIMENTS = list(experiments.EXPERIMENTS)
STEPS = ["train", "sweep", "test"]
try:
    RUN = run_files.start("exp1", DATA, PROFILE, SEED, SPLIT, PATIENTS, on_error=ON_ERROR)
    STUDY, STUDY_DATA = study.jobs(profile=PROFILE), study.open_data(DATA, PROFILE)
except PneumoError as error:
    sys.exit(f"error: {error}")
# Relative, because Snakemake shows it in every line.
FOLDER = os.path.relpath(RUN.folder.parent.parent)
HERE = literal(FOLDER)
STUDIES = literal(os.path.relpath(STUDY_DATA.folder.parent / "studies"))
COMMON = f"-p data {quoted(DATA)} -p profile {PROFILE} -p seed {SEED} -p split {SPLIT} -p patients {quoted(PATIENTS)}"
COMMON += f" -p on_error {ON_ERROR}"
# What the book is built from in addition to the runs; the rest of book/ is made by the build.
MADE = {"_build", "generated", "runs", "__pycache__", *(f"{name}.md" for name in EXPERIMENTS)}
BOOK = [path for folder in ("book", "results") for path in Path(folder).rglob("*.*") if not MADE & set(path.parts)]
BOOK += [Path("_config.yml"), Path("_toc.yml"), *Path("pneumo_lib").rglob("*.py")]
# At the paper's scale a sweep fills a machine; at the others it is mostly imports, and two run side by side.
EVALUATION_CORES = workflow.cores if PROFILE == "paper" else 1
# At the small profiles a training takes one thread, and as many run side by side as there are cores.
TRAINING_CORES = profiles.get(PROFILE).threads or workflow.cores
# Where both take one core, the longest test must not be the last job, beside an idle core.
EVALUATION_FIRST = 2 if TRAINING_CORES == EVALUATION_CORES == 1 else 0
NOTEBOOK = "pneumo notebook {input.source:q} {output:q} -p exp {wildcards.exp} " + COMMON


wildcard_constraints:
    exp="|".join([*experiments.EXPERIMENTS, *experiments.VARIANTS]),
    study="|".join(sorted({job.study for job in STUDY})),
    arm=r"[A-Za-z0-9-]+",
    seed=r"\d+",


def first_stage(wildcards):
    """The training that an experiment starts from, if any."""
    start = experiments.get(wildcards.exp).starts_from
    return [f"{FOLDER}/{start}/seed{wildcards.seed}/train.ipynb"] if start else []


rule book:
    input:
        notebooks=expand(f"{HERE}/{{exp}}/seed{SEED}/{{step}}.ipynb", exp=EXPERIMENTS, step=STEPS),
        data=f"{HERE}/data.ipynb",
        records=expand(f"{HERE}/{{exp}}/seed{SEED}/record.json", exp=EXPERIMENTS),
    output:
        "book/_build/html/index.html",
    params:
        # As one number, since a failure lists every input.
        made_from=digest(BOOK),
    shell:
        f"PNEUMO_RECORDS={quoted(FOLDER)} jupyter-book build . --path-output book -W --keep-going -q"


rule runs:
    input:
        expand(f"{HERE}/{{exp}}/seed{SEED}/record.json", exp=EXPERIMENTS),


rule data:
    input:
        source="notebooks/data.ipynb",
    output:
        f"{HERE}/data.ipynb",
    threads: workflow.cores
    shell:
        "pneumo notebook {input.source:q} {output:q} " + COMMON.replace(f"-p seed {SEED} ", "")


# The weights are no outputs: Snakemake deletes outputs before it runs a job again, and a training that was cut off, or is
# finished with the same settings, must find what it left.
rule train:
    input:
        f"{HERE}/data.ipynb",
        first_stage,
        source="notebooks/train.ipynb",
    output:
        f"{HERE}/{{exp}}/seed{{seed}}/train.ipynb",
    threads: TRAINING_CORES
    # Others wait for it, so that single-core jobs are left for the end, when they fill the cores.
    priority: 1
    shell:
        NOTEBOOK


rule sweep:
    input:
        f"{HERE}/{{exp}}/seed{{seed}}/train.ipynb",
        source="notebooks/sweep.ipynb",
    output:
        f"{HERE}/{{exp}}/seed{{seed}}/sweep.ipynb",
    threads: EVALUATION_CORES
    priority: EVALUATION_FIRST
    shell:
        NOTEBOOK


rule test:
    input:
        f"{HERE}/{{exp}}/seed{{seed}}/sweep.ipynb",
        source="notebooks/test.ipynb",
    output:
        f"{HERE}/{{exp}}/seed{{seed}}/test.ipynb",
        f"{HERE}/{{exp}}/seed{{seed}}/record.json",
    threads: EVALUATION_CORES
    priority: EVALUATION_FIRST
    params:
        # What each augmentation adds is measured once: it takes eight forward passes per image.
        table=lambda wildcards: wildcards.exp == studies.BASE,
    shell:
        NOTEBOOK.replace("{output:q}", "{output[0]:q}") + " -p tta_table {params.table}"


# Runs that have their record are left out, whether this graph made it or `pneumo study`.
rule study:
    input:
        lambda wildcards: [
            f"{STUDIES}/{job.study}/{job.arm}/seed{job.seed}/study.ipynb"
            for job in STUDY
            if not study.is_done(study.run_of(job, STUDY_DATA))
        ],


# In the order of the plan.
rule study_run:
    input:
        f"{HERE}/data.ipynb",
        source="notebooks/study.ipynb",
    output:
        f"{STUDIES}/{{study}}/{{arm}}/seed{{seed}}/study.ipynb",
    threads: TRAINING_CORES
    priority: 1
    shell:
        "pneumo notebook {input.source:q} {output:q} -p study {wildcards.study} -p arm {wildcards.arm} "
        f"-p seed {{wildcards.seed}} -p data {quoted(DATA)} -p profile {PROFILE}"
