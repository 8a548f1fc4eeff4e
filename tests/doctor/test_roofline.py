"""Estimates for GPUs, against published figures and against themselves."""

import pytest

from sonorant.doctor.roofline import estimate, estimates, of, seconds, tables

GPUS = {gpu["name"]: gpu for gpu in tables()["gpu"]}
WORKLOADS = {workload["name"]: workload for workload in tables()["workload"]}


def test_cosyvoice_on_an_l20_is_where_its_publisher_measured_it():
    """TensorRT-LLM on one L20: RTF 0.061 to 0.089 with one stream, 0.029 to 0.039 a stream with 16."""
    l20, cosyvoice = GPUS["L20"], WORKLOADS["CosyVoice 2"]
    assert seconds(l20, cosyvoice, 1) == pytest.approx(0.0615, rel=0.05)
    assert seconds(l20, cosyvoice, 16) / 16 == pytest.approx(0.029, rel=0.05)


def test_all_gpus_that_are_asked_about_have_an_estimate():
    words = (
        "T4",
        "3060 Laptop",
        "3060 12",
        "3090",
        "A4000",
        "A10",
        "A10G",
        "L20",
        "A100",
        "H100",
        "H200",
        "Orin",
        "Nano",
    )
    assert all(any(word in name for name in GPUS) for word in words)
    assert len(estimates()) == len(GPUS) * len(WORKLOADS)
    assert all(row["source"] for row in [*GPUS.values(), *WORKLOADS.values()])


def test_the_figures_of_a_gpu_fit_together():
    """Tensor cores of one generation do so many operations in int8 for one in fp16 that accumulates in fp32."""
    geforce = {
        "RTX 3060 Laptop 6 GB",
        "RTX 3060 12 GB",
        "RTX 3090",
    }  # there fp16 with fp32 runs at half the rate
    for name, gpu in GPUS.items():
        assert {"memory_gb", "bandwidth", "fp32", "fp16", "int8", "fp8", "watts"} <= gpu.keys(), name
        if not gpu.get("unsupported"):
            assert gpu["int8"] / gpu["fp16"] == pytest.approx(4 if name in geforce else 2, rel=0.01), name
            assert gpu["fp8"] == (gpu["int8"] if gpu["capability"] in ("8.9", "9.0") else 0), name


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("Tesla T4", "T4"),
        ("NVIDIA GeForce RTX 3060 Laptop GPU", "RTX 3060 Laptop 6 GB"),
        ("NVIDIA GeForce RTX 3060", "RTX 3060 12 GB"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A100-SXM4-40GB", "A100 40 GB"),
        ("NVIDIA A100-SXM4-80GB", "A100 80 GB"),
        ("NVIDIA A100 80GB PCIe", "A100 80 GB PCIe"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "Jetson AGX Orin 64 GB"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "Jetson Orin Nano 8 GB"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "Jetson Orin NX 16 GB"),
        ("NVIDIA Jetson Nano Developer Kit", "Jetson Nano"),
    ],
)
def test_a_card_is_recognised_by_its_drivers_name(name, gpu):
    assert of(name)[0].gpu == gpu


def test_an_unknown_card_has_none():
    assert of("GeForce GTX 750") == []


def test_more_bandwidth_is_never_slower_and_what_does_not_fit_is_said():
    for workload in WORKLOADS.values():
        slow, fast = estimate(GPUS["A10"], workload), estimate(GPUS["A100 80 GB"], workload)
        assert fast.rtf < slow.rtf
        assert fast.streams >= slow.streams
    assert estimate(GPUS["RTX 3060 Laptop 6 GB"], WORKLOADS["Voice Sculptor (LLaSA-3B)"]).rtf is None
    assert not estimate(GPUS["Jetson Nano"], WORKLOADS["Paraformer-large"]).supported


def test_streams_keep_up_and_one_more_would_not():
    for gpu in GPUS.values():
        for workload in WORKLOADS.values():
            found = estimate(gpu, workload)
            if found.streams:
                assert seconds(gpu, workload, found.streams) <= tables()["assumed"]["busy"]
