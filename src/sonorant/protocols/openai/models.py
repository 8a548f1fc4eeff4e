"""GET /v1/models: what is served here."""

from __future__ import annotations

import time

from fastapi import APIRouter
from pydantic import BaseModel

from sonorant.gateway import Gateway
from sonorant.protocols.openai.errors import RESPONSES
from sonorant.tasks import Replica


class ModelInfo(BaseModel):
    """A served model, with OpenAI's fields and what it does."""

    id: str
    object: str = "model"
    created: int
    """Unix time at which this server began to serve it"""
    owned_by: str = "sonorant"
    task: str
    state: str
    languages: list[str]
    """BCP 47; "*" = any"""
    word_times: bool
    """measures when each word is said"""
    translation: bool
    """writes in English what is said in its other languages"""


class ModelList(BaseModel):
    object: str = "list"
    data: list[ModelInfo]


def routes(gateway: Gateway) -> APIRouter:
    """The list, and one model by its name or an alias of it."""
    router = APIRouter(tags=["models"], responses={code: RESPONSES[code] for code in (401, 404, 500)})
    began = int(time.time())

    @router.get("/v1/models", summary="The served models")
    async def list_models() -> ModelList:
        return ModelList(data=[_info(replica, began) for replica in gateway.router.replicas])

    @router.get("/v1/models/{model:path}", summary="One model")
    async def retrieve_model(model: str) -> ModelInfo:
        return _info(gateway.router.find(model), began)

    return router


def _info(replica: Replica, began: int) -> ModelInfo:
    model = replica.describe()
    return ModelInfo(
        id=replica.name,
        created=began,
        task=replica.task,
        state=replica.state,
        languages=list(model.languages),
        word_times=model.word_times,
        translation=model.translation,
    )
