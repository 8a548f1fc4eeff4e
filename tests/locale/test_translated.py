"""Which language is chosen, and what becomes of a finished English sentence."""

import pickle
from itertools import product

import pytest

from sonorant.errors import AudioError, DownloadError, FailedModelError, UnknownVoiceError
from sonorant.locale import language_of_request, language_of_terminal, translated

NOBODY = UnknownVoiceError(
    "hibari has no voice 'nobody'",
    why="Its voices are: heart, emma",
    remedy="Name one of them; OpenAI's names work too (alloy, ash)",
    param="voice",
)


def test_an_error_in_chinese_and_in_english() -> None:
    chinese = "hibari 没有音色 'nobody'。可用的音色：heart, emma。请从中选择，也可使用 OpenAI 的音色名（alloy, ash）。"
    assert NOBODY.localized("zh") == chinese
    assert NOBODY.localized("en") == str(NOBODY)
    assert str(NOBODY).startswith("hibari has no voice")
    assert pickle.loads(pickle.dumps(NOBODY)).localized("zh") == chinese


def test_the_reason_of_another_error_is_translated_sentence_by_sentence() -> None:
    error = FailedModelError("hibari cannot be used", why=str(NOBODY))
    assert error.localized("zh") == "hibari 无法使用。" + NOBODY.localized("zh")


def test_reasons_of_several_sources() -> None:
    error = DownloadError(
        "a.onnx of the model hibari@1 could not be downloaded",
        why="hf.co was silent for 3 s; hf-mirror.com refused with 403 Forbidden; a gated model needs HF_TOKEN; "
        "hibari-tts of the package index: no sdist was found (https://x.org answered 404; pip knows no index "
        "and no find-links)",
    )
    assert error.localized("zh") == (
        "模型 hibari@1 的文件 a.onnx 下载失败。hf.co 在 3 秒内没有响应；hf-mirror.com 拒绝了请求（403 Forbidden）；"
        "需要授权的模型须设置 HF_TOKEN；软件包索引中的 hibari-tts：没有找到源码包（https://x.org 返回了 404；"
        "pip 没有配置 index 和 find-links）。"
    )


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("server.port: Input should be less than or equal to 65535", "server.port：应小于或等于 65535"),
        (
            "prot is not a setting; known here: host, port; port: Input should be greater than 0",
            "prot 不是设置项；此处可用：host, port；port：应大于 0",
        ),
        ("The field 'speed' is wrong: Input should be a valid number.", "字段 'speed' 有误：应为数字。"),
        ("String should have at most 256 characters", "最多 256 个字符"),
        ("hibari does text-to-speech, not speech-to-text", "hibari 的任务是语音合成，不是语音识别"),
        ("The feeds' names do not fit: missing ['x'], unknown none", "输入的名称不符：缺少 ['x']，多出 无"),
        (
            "An API key is missing. Send it as `Authorization: Bearer KEY`.",
            "缺少 API 密钥。请以 `Authorization: Bearer KEY` 发送。",
        ),
        (  # what a proof says of a network
            "is less than 40 dB like its source (real 1: 50 tokens: logits 3.1 dB; long: 91 tokens: logits 1.0 dB; "
            "2 rows, one with padding: y -inf dB; and 4 more)",
            "与源模型的相似度低于 40 dB（真实输入 1：50 tokens：logits 3.1 dB；较长：91 tokens：logits 1.0 dB；"
            "2 行，其中一行有填充：y -inf dB；另有 4 个）",
        ),
        (
            "Softmax /a is not finite or has another shape, the first to part, on usual: 1 batch, 61 tokens",
            "Softmax /a 的输出不是有限数值或形状不同，是最先分歧的层（常用长度：1 batch, 61 tokens）",
        ),
        ("joe 0 again, as wer_increase failed: proving", "重新制作 joe 0，因为 wer_increase 未通过：证明"),
    ],
)
def test_parts_and_fillings(english: str, chinese: str) -> None:
    assert translated(english, "zh") == chinese
    assert translated(english, "en") == translated(english, "fr") == english


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[Errno 13] Permission denied: '/models'",
        "Load model from a.onnx failed: Protobuf parsing failed. Check the file, then try again",
        "…; ((; . . . ; ) {name}",
    ],
)
def test_other_peoples_words_stay(text: str) -> None:
    assert translated(text, "zh") == text
    error = AudioError("The file cannot be decoded", why=text)
    assert error.localized("zh").startswith("该文件无法解码。" + text)


def test_names_that_are_spelled_like_words_of_ours_stay() -> None:
    assert translated("size is not a setting; known here: model, voice", "zh").endswith("：model, voice")
    assert translated("There is no file yes", "zh") == "没有文件 yes"


def test_long_foreign_text_is_read_in_bounded_time() -> None:
    for text in ("(n) it went wrong: because. Of; ", "; ", ": ", ". ", "is missing; ", "{} (", "(; "):
        for length in (7_999, 1_000_000):
            assert len(translated((text * length)[:length] + ")", "zh")) > length // 4


def test_the_locale_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    for values in product((None, "", "zh_CN.UTF-8", "en_US.UTF-8"), repeat=3):
        for name, value in zip(names, values, strict=True):
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        first = next(filter(None, values), "")
        assert language_of_terminal() == ("zh" if first.startswith("zh") else "en"), values
    for other in ("C", "POSIX", "zhx_XX", "de_DE.UTF-8"):
        monkeypatch.setenv("LC_ALL", other)
        assert language_of_terminal() == "en"
    monkeypatch.setenv("LC_ALL", "zh")
    assert language_of_terminal() == "zh"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("*", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.2, ZH-Hant-TW;q=0.3", "zh"),
        ("fr, zh;q=0.1", "zh"),
        ("zh;q=0, *", "en"),
        ("zh;q=0", "en"),
        ("en, zh", "en"),
        ("zh;q=x", "en"),
        ("zh;q=nan, ,;;q=", "en"),
        ("zhuang", "en"),
    ],
)
def test_accept_language(header: str, language: str) -> None:
    assert language_of_request(header) == language
