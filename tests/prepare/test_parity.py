"""The proof: it catches what conversions are known to break, and lets pass what they did right."""

import pytest

from prepare.faults import FAULTS, HONEST, Fault
from sonorant.prepare.making import derive, proven
from sonorant.prepare.passes import PASSES, recipe


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_not_proven(made, tmp_path, fault: Fault):
    subject, found = made(fault.network)
    model = fault.plant(subject.model(), subject.recorded)
    evidence = proven(tmp_path, subject, subject.model(), model, found, PASSES[fault.by].least_snr)
    assert evidence.fault, f"{fault.name} passed with {evidence.worst:.1f} dB"
    assert not list(tmp_path.iterdir()), "what is not proven is not kept"


@pytest.mark.parametrize(("network", "name"), HONEST, ids=lambda x: getattr(x, "__name__", x))
def test_an_honest_artefact_is_proven(made, tmp_path, network, name):
    subject, _ = made(network)
    evidence = derive(tmp_path, subject, recipe(name))
    assert evidence.fault == ""
    assert (tmp_path / "model.onnx").is_file()
