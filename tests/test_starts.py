"""Names of runs that start from something else than their experiment says."""

import pytest

from pneumo_lib import experiments, starts
from pneumo_lib.errors import ParameterError, WeightsError
from pneumo_lib.model.weights import InitialWeights

LITE = "tu-tf_efficientnet_lite0"


def test_an_encoder_and_weights_are_part_of_the_name_and_of_the_experiment():
    found = experiments.get(f"exp4+{LITE}+imagenet", "demo")
    assert (found.name, found.encoder, found.encoder_weights) == (f"exp4+{LITE}+imagenet", LITE, "imagenet")
    assert experiments.previous(found) == experiments.get("exp4", "demo")


def test_what_the_experiment_says_anyway_is_not_named():
    assert experiments.get("exp4+resnet34+random", "demo") == experiments.get("exp4", "demo")
    assert experiments.get("exp4+imagenet", "paper") == experiments.get("exp4", "paper")


def test_a_first_stage_of_another_experiment_has_the_same_start():
    assert experiments.get(f"exp3+{LITE}", "demo").starts_from == f"exp2+{LITE}"


def test_two_files_never_share_a_name(tmp_path):
    names = set()
    for content in (b"a", b"b"):
        path = tmp_path / "my phantoms.safetensors"
        path.write_bytes(content)
        names.add(experiments.get(starts.chosen("exp4", None, InitialWeights(file=path).label), "demo").name)
    assert len(names) == 2 and all(name.startswith("exp4+my-phantoms-") for name in names)


def test_a_run_named_after_a_file_needs_it():
    with pytest.raises(WeightsError, match="starts from the weights file phantoms; pass it"):
        starts.needs_file("exp4+phantoms-0123abcd")
    starts.needs_file(f"exp4+{LITE}+imagenet")


@pytest.mark.parametrize("name", ["exp4+a+b", "exp4+imagenet+random", "exp4+", "exp9+resnet18"])
def test_a_wrong_name_is_one_sentence(name):
    with pytest.raises(ParameterError, match=r"^(unknown exp=|exp=.* is not a run; give )"):
        experiments.get(name, "demo")
