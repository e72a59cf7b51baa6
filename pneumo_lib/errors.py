"""Errors that a user can cause. Each message names the file or parameter, says what is wrong and what to do."""


class PneumoError(ValueError):
    """Base of the errors below. A `ValueError`, so that callers who know nothing of this package catch it too.

    A notebook shows it as its one sentence instead of a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for its own rendering under this name.
        return [f"{type(self).__name__}: {self}"]


class ParameterError(PneumoError):
    """A parameter, on a command line, in a notebook or of a function, with a wrong value."""


class StepError(PneumoError):
    """A step whose predecessor has not been run: nothing trained, or no thresholds chosen."""


class WriteError(PneumoError):
    """A file that cannot be written."""


class DicomError(PneumoError):
    """A DICOM file that is damaged or is not a chest X-ray."""


class RadiographError(PneumoError):
    """A file or folder without a readable X-ray."""


class SiimError(PneumoError):
    """A data set whose files and mask table do not fit together."""


class RleError(PneumoError):
    """A run-length encoding that cannot be decoded."""


class SplitError(PneumoError):
    """A split that cannot be made, or a saved one that does not fit the data."""


class PreprocessingError(PneumoError):
    """Preprocessed arrays that are missing, damaged or made from something else."""


class DownloadError(PneumoError):
    """A download that cannot be made, or an archive that is damaged, unsafe or too large for the disk."""


class PhantomError(PneumoError):
    """Wrong arguments of the phantom, or a folder that it may not write to."""


class WeightsError(PneumoError):
    """Weights that are missing, damaged or of another network."""


class TrainingError(PneumoError):
    """Training cannot start, continue or be saved."""


class TtaError(PneumoError):
    """Wrong arguments of test-time augmentation."""


class SweepError(PneumoError):
    """Wrong arguments of the threshold sweep, or a saved choice that is damaged."""


class SegmentationError(PneumoError):
    """A DICOM Segmentation that cannot be written."""


class SubmissionError(PneumoError):
    """A submission that the challenge would not take, or that cannot be made."""


class MetricError(PneumoError):
    """Wrong arguments of a score or an interval."""


class RecordError(PneumoError):
    """A record of a run that is missing or damaged."""


class BusyError(PneumoError):
    """Work that another process is doing at the moment."""


class Interrupted(KeyboardInterrupt):
    """A training that the user stopped; says how far it came. A notebook shows it as one line."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class NotebookError(PneumoError):
    """A notebook that cannot be run as asked."""
