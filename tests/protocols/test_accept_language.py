"""Messages in the language that a request asks for; codes and fields stay as they are."""

import json

import pytest
from fastapi import FastAPI

from sonorant.errors import EngineError, TextError
from sonorant.tasks import Encoded, State

PATH = "/v1/audio/speech"
ZH = {"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"}


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"voice": "nobody"}, "voice", "hibari 没有音色 'nobody'。可用的音色：amy, bob, cat, ulf。"),
        ({"speed": 9}, "speed", "字段 'speed' 有误：应小于或等于 4。"),
        ({"response_format": "m4a"}, "response_format", "字段 'response_format' 有误：应为 'mp3'"),
        ({"input": None}, "input", "字段 'input' 有误：应为字符串。"),
        ({"input": " "}, "input", "文本为空。请在 'input' 中至少给出一个词。"),
        ({"input": "<speak>"}, "input", "SSML 不是格式良好的 XML。第 1 行第 7 列：no element found。"),
        ({"model": "gone"}, "model", "这里没有提供模型 'gone'。正在提供：hibari, moonshine。"),
    ],
)
def test_errors_in_chinese(ask, fakes, body, param, message):
    body = {"input": "Hi"} | body
    chinese = ask(fakes.application(), "POST", PATH, json=body, headers=ZH)
    english = ask(fakes.application(), "POST", PATH, json=body)
    error, original = chinese.json()["error"], english.json()["error"]
    assert error.pop("message").startswith(message)
    assert original.pop("message").isascii()
    assert error == original
    assert error["param"] == param
    for response, language in ((chinese, "zh"), (english, "en")):
        assert response.headers["content-language"] == language
        assert response.headers["vary"] == "accept-language"


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"method": "GET", "path": "/nowhere"}, 404, "/nowhere 不存在。GET / 会列出本服务器的接口。"),
        ({"method": "GET", "path": PATH}, 405, f"{PATH} 不接受 GET。"),
        ({"method": "POST", "path": PATH, "content": b"{"}, 400, "请求体必须是 JSON 对象"),
        ({"method": "POST", "path": PATH, "content": b"x" * 70_000}, 413, "请求体超过了本服务器"),
        (
            {"method": "POST", "path": "/v1/audio/transcriptions", "data": {"file": "text"}},
            400,
            "字段 'file' 是文本。请以文件形式发送录音：`curl -F file=@NAME`。",
        ),
    ],
)
def test_requests_that_reach_no_model(ask, fakes, request_, status, message):
    app = fakes.application(limits={"text_characters": 1})
    response = ask(app, **request_, headers=ZH)
    assert response.status_code == status
    assert response.json()["error"]["message"].startswith(message)


def test_a_form_that_cannot_be_parsed(ask, fakes):
    form = {"content-type": "multipart/form-data"} | ZH
    response = ask(fakes.application(), "POST", "/v1/audio/transcriptions", content=b"x", headers=form)
    assert response.json()["error"]["message"] == "multipart 缺少 boundary。"


def test_a_missing_key(ask, fakes):
    app = fakes.application(server={"api_keys": ["secret"], "cors_origins": ["https://a.example"]})
    response = ask(app, "GET", "/v1/models", headers=ZH | {"origin": "https://a.example"})
    assert response.status_code == 401
    assert response.json()["error"]["message"].startswith("缺少 API 密钥。")
    assert {word.strip().lower() for word in response.headers["vary"].split(",")} == {
        "accept-language",
        "origin",
    }


def test_a_fault_of_the_server(ask, fakes, caplog):
    replica = fakes.speaker(script=[fakes.Step(error=EngineError("ONNX Runtime could not finish a run"))])
    headers = ZH | {"x-request-id": "mine-1"}
    response = ask(fakes.application(replica), "POST", PATH, json={"input": "Hi"}, headers=headers)
    assert response.json()["error"]["message"] == "服务器处理失败。原因见其日志，请求 id 为 mine-1。"


def test_an_error_event(ask, fakes, caplog):
    nothing = TextError("The text holds nothing that can be spoken", remedy="Send words")
    replica = fakes.speaker(script=[fakes.Step(Encoded(b"a", 0.1)), fakes.Step(error=nothing)])
    body = {"input": "Hi", "stream_format": "sse"}
    response = ask(fakes.application(replica), "POST", PATH, json=body, headers=ZH)
    last = json.loads(response.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["message"] == "文本中没有可以朗读的内容。请给出可以朗读的文字。"
    assert last["error"]["code"] == "invalid_text"
    assert "The text holds nothing that can be spoken" in caplog.text  # operators search in English


def failed(fakes) -> FastAPI:
    reason = "/models/a.onnx of the model hibari@1 is damaged. It is truncated: it has 3 of 5 bytes. Run `sonorant pull hibari@1 --force`."
    return fakes.application(fakes.speaker(state=State.FAILED, reason=reason), fakes.listener())


def test_the_health_page_gives_reasons(ask, fakes):
    chinese = "模型 hibari@1 的文件 /models/a.onnx 已损坏。文件不完整：3 字节，应为 5 字节。请运行 `sonorant pull hibari@1 --force`。"
    response = ask(failed(fakes), "GET", "/health/ready", headers=ZH)
    assert response.json()["models"][0]["reason"] == chinese
    assert (response.headers["content-language"], response.headers["vary"]) == ("zh", "accept-language")
    english = ask(failed(fakes), "GET", "/health/ready")
    assert english.json()["models"][0]["reason"].startswith("/models/a.onnx of the model")
    assert english.headers["content-language"] == "en"
    refused = ask(failed(fakes), "POST", PATH, json={"input": "Hi"}, headers=ZH)
    assert refused.json()["error"]["message"] == "hibari 无法使用。" + chinese
