"""What a machine says of itself, recorded."""

import struct

import pytest

from sonorant.doctor import cards, disk, probes
from sonorant.doctor.environment import environment
from sonorant.doctor.fatbin import architectures, runs_on
from sonorant.doctor.processor import parse, ram
from sonorant.errors import EngineError, StorageError

XEON = """\
processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum 8480+
flags\t\t: fpu sse sse2 avx avx2 avx512f avx512_vnni avx512_bf16 amx_tile amx_int8
"""
LAPTOP = "model name\t: 13th Gen Intel(R) Core(TM) i7-1360P\nflags\t\t: sse4_2 avx avx2 avx_vnni\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm sve\n"


def test_processors():
    assert parse(XEON) == ("Intel(R) Xeon(R) Platinum 8480+", ("AVX2", "AVX-512", "VNNI", "BF16", "AMX"))
    assert parse(LAPTOP)[1] == ("AVX2", "VNNI")
    assert parse(ARM) == ("", ("NEON", "SVE"))
    assert parse("") == ("", ())


def test_a_container_has_the_memory_of_its_limit(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 32000000 kB\nMemAvailable: 20000000 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("4294967296\n")
    (group / "memory.current").write_text("1073741824\n")
    (group / "memory.stat").write_text("inactive_file 0\n")
    found = ram(tmp_path)
    assert (found.machine, found.usable, found.free) == (32_000_000 * 1024, 4 << 30, 3 << 30)


SMI = """\
535.183.01, 7.5, 15360, Tesla T4
535.183.01, 8.6, 6144, NVIDIA GeForce RTX 3060 Laptop GPU
"""


def test_nvidia_smi():
    told = cards.parse(SMI)
    assert told["driver"] == "535.183.01"
    assert told["gpus"][0] == {"name": "Tesla T4", "memory": 15360 << 20, "capability": "7.5"}
    assert told["gpus"][1]["name"] == "NVIDIA GeForce RTX 3060 Laptop GPU"
    assert (
        cards.parse("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n") == {}
    )
    assert cards.parse("") == {}


def test_a_card_without_a_driver_and_a_jetson(tmp_path):
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "class").write_text("0x030200\n")
    (device / "vendor").write_text("0x10de\n")
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson AGX Orin Developer Kit\0")
    assert cards.on_the_bus(tmp_path) == ("NVIDIA",)
    assert cards.board(tmp_path) == "NVIDIA Jetson AGX Orin Developer Kit"
    assert cards.board(tmp_path / "sys") == ""


def test_numbers_of_versions():
    assert probes.of_cuda(12040) == "12.4"
    assert probes.of_cuda(0) == ""
    assert (probes.of_cudnn(8902), probes.of_cudnn(91002)) == ("8.9.2", "9.10.2")
    assert (probes.of_tensorrt(8601), probes.of_tensorrt(101303)) == ("8.6.1", "10.13.3")


def test_the_newest_ir_and_opset_are_asked_of_the_engine_itself():
    onnxruntime = pytest.importorskip("onnxruntime")
    told = probes.onnxruntime()
    onnxruntime.InferenceSession(probes.model(told["ir"], 17), providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="IR version"):
        onnxruntime.InferenceSession(probes.model(told["ir"] + 1, 17), providers=["CPUExecutionProvider"])
    assert told["opset"] >= 21


def elf(*codes: tuple[int, int], name: bytes = b".nv_fatbin") -> bytes:
    """An ELF with a section of GPU code: (kind, architecture) each."""
    entries = b"".join(
        struct.pack("<HHIQIIHHI", kind, 0x101, 64, 8, 0, 0, 0, 0, number).ljust(64, b"\0") + bytes(8)
        for kind, number in codes
    )
    fat = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entries)) + entries
    names = b"\0" + name + b"\0.shstrtab\0"
    at = 64 + len(fat) + len(names)
    header = b"\x7fELF\x02\x01\x01".ljust(40, b"\0") + struct.pack("<QIHHHHHH", at, 0, 64, 0, 0, 64, 3, 2)

    def section(name: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQ", name, 1, 0, 0, offset, size).ljust(64, b"\0")

    table = section(0, 0, 0) + section(1, 64, len(fat)) + section(len(name) + 2, 64 + len(fat), len(names))
    return header + fat + names + table


def test_what_a_library_was_compiled_for(tmp_path):
    library = tmp_path / "libx.so"
    library.write_bytes(elf((2, 90), (2, 75), (1, 90), (2, 75)))
    assert architectures(library) == ("sm_75", "compute_90", "sm_90")
    library.write_bytes(elf((2, 90), name=b".text_only"))
    assert architectures(library) == ()


@pytest.mark.parametrize("keep", [0, 3, 40, 63, 64, 70, 100, 200, 300])
def test_a_damaged_library_has_no_architectures(tmp_path, keep):
    library = tmp_path / "libx.so"
    library.write_bytes(elf((2, 90), (2, 75))[:keep])
    assert architectures(library) == ()


@pytest.mark.parametrize(
    ("capability", "compiled", "runs"),
    [
        ("8.6", ("sm_75", "sm_80"), True),  # machine code of the same major version
        ("8.0", ("sm_86",), False),
        ("9.0", ("sm_80", "sm_86"), False),
        ("9.0", ("sm_80", "compute_86"), True),  # PTX is compiled on the spot
        ("7.0", ("sm_75", "compute_75"), False),
        ("9.0", ("sm_90a",), True),
        ("10.0", ("sm_90a", "compute_90a"), False),
        ("12.0", ("sm_75", "sm_120"), True),
        ("8.6", (), None),
    ],
)
def test_which_gpus_code_runs_on(capability, compiled, runs):
    assert runs_on(capability, compiled) is runs


def test_a_disk_is_measured_and_nothing_is_left_on_it(tmp_path):
    told = disk.measure(str(tmp_path / "models"))
    assert told["write"] > 0
    assert told["read"] > 0
    assert 0 < told["random_read"] < 1
    assert list((tmp_path / "models").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written to"):
        disk.measure(str(tmp_path / "file"))


def test_libraries_that_crash_or_hang_are_told_and_end_nothing(tmp_path):
    def ask(target, arguments, seconds):
        assert seconds > 0
        raise EngineError(f"{target} did not finish within {seconds:g} s")

    found = environment(tmp_path, ask)
    assert "did not finish" in found.libraries["onnxruntime"]["failed"]
    assert "did not finish" in found.disk["failed"]
    assert found.cards.cards == ()
    assert found.packages["numpy"]
    assert found.processor.usable >= 1
