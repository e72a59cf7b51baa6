"""Writes the data of the pages to think with that need a trained network: `make think`.

Trains exp4 on phantoms at the scale of the studies (20 to 40 minutes on one CPU core) and writes
`results/motion-data.js` and `results/radiologist-data.js`; run it again when the phantom or the method changes.
"""

from pneumo_book import motion, radiologist
from pneumo_lib import paths, runs


def main() -> None:
    run = runs.start("exp4", profile="study")
    recording = motion.record(run, paths.home() / "runs" / "think" / "exp4")
    results = paths.results()
    motion.write(results / "motion-data.js", recording)
    network = f"{run.experiment.name}, {run.label}, {run.experiment.image_size} pixels"
    radiologist.write(results / "radiologist-data.js", motion.predictor(recording), network)


if __name__ == "__main__":
    main()
