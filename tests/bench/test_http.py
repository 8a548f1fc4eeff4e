"""The small HTTP client against bytes as servers send them."""

import asyncio
import socket

import pytest

from sonorant.bench.http import BrokenOffError, Server

BODY = b'{"input": "x"}'


def ask(server: Server, times: int = 1, pause: float = 0.0) -> list[tuple[int, dict, bytes]]:
    async def main():
        answers = []
        for _ in range(times):
            async with server.post("/v1/audio/speech", BODY, "application/json") as answer:
                answers.append((answer.status, dict(answer.headers), await answer.whole()))
            await asyncio.sleep(pause)
        server.close()
        return answers

    return asyncio.run(main())


def test_chunks_however_they_are_cut(fake, wire):
    whole = b"".join([wire.STREAMED, *wire.chunked(b"hello ", b"w" * 70_000), wire.END])
    for size in (1, 17, len(whole)):
        fake.otherwise = [whole[:400][i : i + size] for i in range(0, 400, size)] + [whole[400:]]
        ((status, headers, body),) = ask(Server(fake.url))
        assert (status, headers["content-type"]) == (200, "audio/wav")
        assert body == b"hello " + b"w" * 70_000


def test_part_of_a_chunk_is_there_before_the_rest(fake, wire):
    fake.otherwise = [wire.STREAMED, b"a\r\nhello", wire.HANG]

    async def main():
        server = Server(fake.url)
        async with server.post("/", BODY, "application/json") as answer:
            return await anext(answer.body)

    assert asyncio.run(asyncio.wait_for(main(), 10)) == b"hello"


def test_a_body_of_known_length_and_one_that_ends_with_the_connection(fake, wire):
    fake.otherwise = [wire.head(content_length="5") + b"hello"]
    assert ask(Server(fake.url), 2)[1][2] == b"hello"
    assert fake.connections == 1
    fake.otherwise = [wire.head(connection="close") + b"hel", b"lo", wire.BREAK]
    assert [answer[2] for answer in ask(Server(fake.url), 2)] == [b"hello", b"hello"]
    assert fake.connections == 3


def test_what_is_sent(fake):
    ask(Server(fake.url + "/below/v1/", "secret"))
    line, headers, body = fake.seen[0]
    assert line == "POST /below/v1/audio/speech HTTP/1.1"
    assert headers["authorization"] == "Bearer secret"
    assert headers["host"] == fake.url.removeprefix("http://")
    assert body == BODY


def test_a_kept_connection_that_the_server_has_closed_is_replaced(fake, wire):
    fake.otherwise = [wire.head(content_length="2") + b"ok", wire.BREAK]
    assert [answer[2] for answer in ask(Server(fake.url), 3, pause=0.3)] == [b"ok"] * 3
    assert fake.connections == 3


def test_http_1_0_keeps_no_connection(fake):
    fake.otherwise = [b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    assert [answer[2] for answer in ask(Server(fake.url), 2)] == [b"ok"] * 2
    assert fake.connections == 2


def test_a_request_that_a_server_died_over_is_not_sent_again(fake, wire):
    """On a connection that was kept, too: that it got no answer is what is to be found."""
    fake.scripts = {"y": [wire.BREAK]}
    fake.otherwise = [wire.head(content_length="2") + b"ok"]

    async def main() -> None:
        server = Server(fake.url)
        async with server.post("/", BODY, "application/json") as answer:
            await answer.whole()
        async with server.post("/", b'{"input": "y"}', "application/json"):
            pass

    with pytest.raises(BrokenOffError, match="without an answer"):
        asyncio.run(main())
    assert len(fake.seen) == 2


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (["break"], "without an answer"),
        ([b"HTTP/1.1 200 OK\r\ncontent-le", "break"], "within the head"),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], "not HTTP/1.1: 'SSH-2.0-OpenSSH'"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "break"], "within the answer"),
        (
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "break"],
            "within the answer",
        ),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"], "chunks make no sense"),
    ],
)
def test_a_broken_answer_is_an_error(fake, script, why):
    fake.otherwise = script
    with pytest.raises(BrokenOffError, match=why):
        ask(Server(fake.url))


def test_nobody_listens():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(BrokenOffError, match="refused"):
            ask(Server(f"http://127.0.0.1:{bound.getsockname()[1]}"))


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://"])
def test_no_address(url):
    with pytest.raises(ValueError):
        Server(url)
