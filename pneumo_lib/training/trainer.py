"""Hardware of a training: CPU or GPUs, one process or several that `torchrun` or Slurm started."""

import importlib.util
import logging
import os
import resource
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

from pneumo_lib import hardware as precisions
from pneumo_lib.data.batches import default_workers
from pneumo_lib.errors import TrainingError
from pneumo_lib.experiments import Stage
from pneumo_lib.training.checkpoints import WholeFiles

# Compiling takes a minute or two; a tenth of each step is won.
_STEPS_THAT_PAY_FOR_COMPILING = 2000


@dataclass(frozen=True)
class TrainerSetup:
    """One process's view of the machines that train.

    device: "cuda" or "cpu"; local: processes on each node; nodes: how many; rank: this process among all; workers: loader
    processes of each; accumulate: forward passes an optimiser step; launcher: "torchrun", "slurm" or `None`;
    precision: Lightning's name of it, see `hardware.choose_precision`; logger: "none" or "tensorboard".
    """

    device: str = "cpu"
    local: int = 1
    nodes: int = 1
    rank: int = 0
    workers: int = 0
    accumulate: int = 1
    launcher: str | None = None
    precision: str = precisions.FLOAT32
    logger: str = "none"

    @classmethod
    def here(
        cls, workers: int | None = None, accumulate: int = 1, precision: str = "auto", logger: str = "none"
    ) -> "TrainerSetup":
        """As the environment says; one GPU is used where several are there but nothing started a process for each.

        Raises:
            TrainingError: Slurm was not told how many tasks per node.
        """
        # Not by Lightning's environments: they do not say how many processes a node has, and Slurm's counts the tasks of
        # the whole job, not of the step.
        device = "cuda" if torch.cuda.is_available() else "cpu"
        launcher, rank, world, local = None, 0, 1, 1
        if "TORCHELASTIC_RUN_ID" in os.environ:
            launcher = "torchrun"
            rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
            # Set by srun for the processes that it starts, not by sbatch for the script that calls it.
            if "SLURM_NTASKS_PER_NODE" not in os.environ:
                raise TrainingError(
                    "srun was told a number of tasks but not how many per node, which Lightning has to know; start with "
                    "srun --nodes 1 --ntasks-per-node 2, say, in place of -n."
                )
            launcher, rank, world = "slurm", int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_STEP_NUM_TASKS"])
            local = world // int(os.environ["SLURM_STEP_NUM_NODES"])
        workers = default_workers(device) // local if workers is None else workers
        launcher = launcher if world > 1 else None
        return cls(
            device,
            local,
            world // local,
            rank,
            workers,
            accumulate,
            launcher,
            precisions.choose_precision(precision, device),
            logger,
        )

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.local * self.nodes

    @property
    def title(self) -> str:
        """As a plan and a record show it."""
        name = torch.cuda.get_device_name() if self.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        name = f"{name}, {precisions.PRECISION_TITLES[self.precision]}"
        return f"{self.world} x {name}" if self.world > 1 else name

    def check(self, stage: Stage, validation_images: int) -> None:
        """Whether every process gets the same share of a batch, and some images to validate.

        Raises:
            TrainingError: no; says what fits.
        """
        if self.accumulate < 1 or stage.batch_size % (self.world * self.accumulate):
            fitting = [str(n) for n in range(1, stage.batch_size) if stage.batch_size % n == 0]
            raise TrainingError(
                f"{self.world} processes x accumulate={self.accumulate} do not divide the batch of {stage.batch_size} images; "
                f"their product has to be one of {', '.join(fitting)}."
            )
        if validation_images < self.world:
            raise TrainingError(f"{validation_images} validation images are too few for {self.world} processes.")

    def compiles(self, steps: int) -> bool:
        """Whether compiling the network pays."""
        possible = self.device == "cuda" and self.world == 1 and importlib.util.find_spec("triton") is not None
        return possible and steps >= _STEPS_THAT_PAY_FOR_COMPILING

    def trainer(self, epochs: int, callbacks: list, path: Path) -> lightning.Trainer:
        """A trainer for the stage whose weights go to `path`; all that it writes lies in the same folder."""
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        # One loader process next to a training CPU is deliberate, and so is a small number of steps per epoch.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", module="lightning")
        warnings.filterwarnings("ignore", message=".*srun.*is available.*", module="lightning")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*", module="lightning")
        # Only epochs are logged.
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*", module="lightning")
        # The module logs what is already the same on every rank.
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*", module="lightning")
        # Deterministic algorithms would also fill every new tensor before it is written to: 2 to 6 % of a step on a CPU.
        torch.utils.deterministic.fill_uninitialized_memory = False
        environments = {
            None: LightningEnvironment,
            "torchrun": TorchElasticEnvironment,
            # Without Lightning's own resubmission: restarted, training resumes by itself.
            "slurm": lambda: SLURMEnvironment(auto_requeue=False),
        }
        return lightning.Trainer(
            accelerator="gpu" if self.device == "cuda" else "cpu",
            devices=self.local,
            num_nodes=self.nodes,
            strategy="ddp" if self.world > 1 else "auto",
            plugins=[environments[self.launcher](), WholeFiles()],
            precision=self.precision,
            accumulate_grad_batches=self.accumulate,
            max_epochs=epochs,
            callbacks=callbacks,
            deterministic="warn" if self.device == "cuda" else True,
            benchmark=False,
            logger=self._logger(path),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=path.parent,
        )

    def _logger(self, path: Path) -> TensorBoardLogger | bool:
        if self.logger == "none":
            return False
        # A version of its own name is continued by a resumed stage.
        return TensorBoardLogger(path.parent, "tensorboard", version=path.stem, default_hp_metric=False)

    def peak_memory(self) -> float:
        """Most memory held so far, in GB: the GPU's, or this process's."""
        if self.device == "cuda":
            return torch.cuda.max_memory_allocated() / 1e9
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e9 if sys.platform == "darwin" else peak / 1e6
