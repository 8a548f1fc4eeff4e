"""Which engine computes a network of a model: what the settings name, or the fastest that is proven."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from sonorant.errors import EngineError, ModelError, SettingsError, SonorantError
from sonorant.networks import targets
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.engine import Engine
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions, Value
from sonorant.networks.prepared import TRIAL, Choice, PreparedEngine
from sonorant.networks.targets import ONNX_RUNTIME
from sonorant.observe.figures import Figures
from sonorant.settings import NetworkSettings

logger = logging.getLogger(__name__)

PUBLISHED, EXPORT = "published", "export"
"""artefacts that are none of a recipe's: the publisher's own file, and the export of a torch checkpoint"""

Networks = Mapping[str, Mapping[str, NetworkSettings]]
"""model → network → what is set for it"""


class Engines:
    """Those of one model."""

    def __init__(
        self,
        model: str,
        device: str,
        options: Mapping[str, Value],
        precision: str,
        networks: Mapping[str, NetworkSettings],
        figures: Figures,
    ) -> None:
        """options: ONNX Runtime's that the user chose; networks: what is set for those of this model."""
        self._model, self._device, self._options = model, device, options
        self._precision, self._networks, self._figures = precision, networks, figures
        self.prepared: list[Artefact] = []
        """those in use"""

    @property
    def _trial(self) -> bool:
        """Whether artefacts are to be judged."""
        return self._precision.startswith(TRIAL)

    def wanted(self, network: str) -> NetworkSettings:
        """What is set for it."""
        return self._networks.get(network) or NetworkSettings()

    def published(
        self,
        network: str,
        path: Path,
        exposed: tuple[str, ...] = (),
        derived: bytes | None = None,
        defaults: Mapping[str, Value] | None = None,
    ) -> OnnxRuntime:
        """ONNX Runtime on the file itself, or on what was `derived` from it."""
        options = self._session_options(network, defaults or {})
        engine = OnnxRuntime(path, options, self._device, exposed, derived)
        if engine.fell_back:
            self._figures.count("fallbacks", provider=engine.provider, reason="provider")
        return engine

    def session(
        self, network: str, path: Path, artefacts: Artefacts, defaults: Mapping[str, Value]
    ) -> OnnxRuntime:
        """ONNX Runtime on the file, or on what stands for it."""
        artefact = self._artefact(network, path, artefacts, (), ONNX_RUNTIME)
        if artefact is None:
            return self.published(network, path, defaults=defaults)
        try:
            options = self._session_options(network, defaults)
            engine = OnnxRuntime(targets.model_file(artefact.folder), options, self._device)
        except SonorantError as error:
            self._failed(network, artefact, error)
            return self.published(network, path, defaults=defaults)
        self.prepared.append(artefact)
        return engine

    def engine(
        self,
        network: str,
        path: Path,
        artefacts: Artefacts,
        exposed: tuple[str, ...],
        defaults: Mapping[str, Value],
    ) -> Engine:
        """An engine on what stands for the file, watched; or on the file."""
        source = partial(self.published, network, path, exposed, defaults=defaults)
        artefact = self._artefact(network, path, artefacts, exposed)
        if artefact is None:
            return source()
        return self._watched(network, artefact, source, defaults)

    def _watched(
        self,
        network: str,
        artefact: Artefact,
        source: Callable[[], Engine],
        defaults: Mapping[str, Value],
    ) -> Engine:
        """An engine on a prepared artefact; on its source where it does not load, and was not named."""

        def fell(why: str) -> None:
            self._figures.count("fallbacks", provider=loaded.provider, reason=why)
            if self._trial:  # or its source would be judged in its place
                raise EngineError(
                    f"The prepared artefact of {network} gave what is {why}",
                    remedy="Choose another recipe, or prepare it again with --force",
                )

        try:
            engine_name = targets.engine_of(artefact.proof.bindings.recipe)
            options = self._session_options(network, defaults)
            loaded = targets.load(artefact.folder, engine_name, options, self._device)
        except SonorantError as error:
            self._failed(network, artefact, error)
            return source()
        engine = PreparedEngine(artefact, loaded, source, fell)
        self.prepared.append(artefact)
        return engine

    def _failed(self, network: str, artefact: Artefact, error: SonorantError) -> None:
        """Raises the error where the artefact was asked for, and there is to be no other."""
        wanted = self.wanted(network)
        if self._trial or wanted.artefact or wanted.engine not in ("", ONNX_RUNTIME):
            raise error
        logger.warning("%s is not used: %s", artefact.folder, error)
        self._figures.count("fallbacks", provider="none", reason="failed")

    def _artefact(
        self, network: str, path: Path, artefacts: Artefacts, exposed: tuple[str, ...], only: str = ""
    ) -> Artefact | None:
        """What stands for the file, None = the file itself. `only`: the engine that is needed.

        Raises ModelError where the settings name what is not there.
        """
        wanted = self.wanted(network)
        if only and wanted.engine not in ("", only):
            self.refuse(network, f"{wanted.engine} cannot run its loop of decoding", "Leave its engine out")
        if wanted.engine == "torch":
            why = "torch computes checkpoints, and this is an ONNX file"
            self.refuse(network, why, "Leave its engine out")
        if wanted.artefact in (PUBLISHED, EXPORT):
            return None
        choice = Choice(artefacts, self._precision, wanted.engine or only, wanted.artefact)
        found = choice.of(path, exposed)
        if found is None and choice.named:
            self._unproven(network, wanted.artefact or wanted.engine)
        return found

    def refuse_prepared(self, network: str) -> None:
        """Raises ModelError where something else than ONNX Runtime on the network as its family wrote it is
        set for it."""
        wanted = self.wanted(network)
        if wanted.engine not in ("", ONNX_RUNTIME):
            self.refuse(network, f"{wanted.engine} cannot run its loop of decoding", "Leave its engine out")
        if wanted.artefact not in ("", PUBLISHED):
            self._unproven(network, wanted.artefact)

    def _unproven(self, network: str, recipe: str) -> NoReturn:
        self.refuse(
            network,
            f"No {recipe} of it is proven on this machine",
            f"Make it: `sonorant prepare {self._model} --to {recipe}`, or name another in the settings",
        )

    def refuse(self, network: str, why: str, remedy: str) -> NoReturn:
        """Raises ModelError."""
        raise ModelError(
            f"{network} of {self._model} cannot be served as networks.{self._model}.{network} says",
            why=why,
            remedy=remedy,
        )

    def _session_options(self, network: str, defaults: Mapping[str, Value]) -> OnnxRuntimeOptions:
        threads = self.wanted(network).threads
        own: dict[str, Value] = {"intra_op_num_threads": threads} if threads else {}
        return OnnxRuntimeOptions({**defaults, **self._options, **own})

    def check(self, networks: Collection[str]) -> None:
        """`networks`: those that the model has.

        Raises SettingsError for one in the settings that is not among them, and ModelError where a precision
        was asked for that no network has.
        """
        if unknown := sorted(set(self._networks) - set(networks)):
            raise SettingsError(
                f"networks.{self._model} names {unknown[0]!r}, which {self._model} does not have",
                remedy=f"Its networks: {', '.join(networks) or 'none, a library computes it'}",
            )
        chosen = self._precision in ("auto", "float32") or self._trial
        if chosen or self.prepared:
            return
        raise ModelError(
            f"{self._model} has nothing in {self._precision} that is proven on this machine",
            why="What is quicker or smaller is served only with its proof",
            remedy=f"Make it: `sonorant prepare {self._model} --to {self._precision}`, "
            "or serve with --precision auto",
        )
