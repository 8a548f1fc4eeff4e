"""Opening a model with faster-whisper, on the device and the threads that were chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sonorant.errors import EngineError, MissingExtraError, ModelFileError
from sonorant.observe.machine import cores


def workers_of(device: str, threads: int) -> tuple[int, int]:
    """Workers, and the threads of each; threads: as chosen, 0 = a quarter of the cores.

    On two cores, two workers of one thread hear 1.45 × as much as one of two.
    """
    if device != "cpu":
        return 1, 1
    threads = threads or max(1, cores() // 4)
    return max(1, cores() // threads), threads


def open_model(folder: Path, device: str, threads: int) -> tuple[Any, int]:
    """A faster_whisper.WhisperModel, and how many calls it computes at once.

    device: cpu, cuda, cuda:1 … or auto. Weights become int8 on a CPU (1.35 × the speed of float32 at
    the same word errors) and float16 on a GPU. Raises MissingExtraError without faster-whisper,
    EngineError for a device that is not there, ModelFileError for files that CTranslate2 cannot read.
    """
    try:
        import ctranslate2
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingExtraError(
            "Whisper needs faster-whisper, which is not installed",
            why=str(error),
            remedy='Install it: `pip install "sonorant[whisper]"`',
        ) from error
    kind, _, number = device.partition(":")
    index, devices = int(number or 0), ctranslate2.get_cuda_device_count()
    if kind == "auto":
        kind = "cuda" if devices else "cpu"
    if kind != "cpu" and not (kind == "cuda" and index < devices):
        raise EngineError(
            f"Whisper cannot run on {device}",
            why=f"CTranslate2 knows cpu and cuda, and finds {devices} CUDA devices on this machine",
            remedy="Install NVIDIA's driver with cuBLAS and cuDNN, or choose --device cpu",
        )
    workers, threads = workers_of(kind, threads)
    try:
        model = WhisperModel(
            str(folder),
            device=kind,
            device_index=index,
            compute_type="int8" if kind == "cpu" else "float16",
            cpu_threads=threads,
            num_workers=workers,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelFileError(
            f"CTranslate2 {ctranslate2.__version__} cannot load {folder.name}",
            why=str(error).splitlines()[0],
            remedy="Pull the model again (`sonorant pull NAME --force`), or update ctranslate2",
        ) from error
    return model, workers
