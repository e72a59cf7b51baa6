"""One process trains a run at a time."""

import pytest
import toy  # noqa: E402

from pneumo_lib import experiments, locks
from pneumo_lib.errors import BusyError
from pneumo_lib.training import two_stage


def test_a_run_is_locked_while_a_stage_trains(tmp_path, monkeypatch):
    class Reached(Exception):
        pass

    def probe(*_):
        with pytest.raises(BusyError), locks.held(tmp_path / ".lock", "the run"):
            pass
        raise Reached

    monkeypatch.setattr(two_stage.stage, "run", probe)
    monkeypatch.setattr(two_stage, "_network", lambda *_: None)
    with pytest.raises(Reached):
        two_stage.train(experiments.get("exp1", "smoke"), toy.ToyData(), tmp_path)
    with locks.held(tmp_path / ".lock", "the run"):
        pass  # the lock ended with the training
