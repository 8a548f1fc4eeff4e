"""Who is let in, on a simulated device: no test here sleeps."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from sonorant.errors import BusyError, LimitError, UnsupportedError
from sonorant.gateway import Admission
from sonorant.gateway.admission import SLOWDOWN
from sonorant.gateway.estimate import Ratio, Size, size_of_recording, size_of_text
from sonorant.gateway.quota import Quota
from sonorant.gateway.recordings import probable_seconds
from sonorant.settings import KeySettings, LimitSettings
from sonorant.tasks import Cost, Load, Task, Terms, Tier, Upload, Utterance

from .listeners import Clock, Request, Server, crowd, percentile


def replica(name="voice", task=Task.SPEECH, slots=2):
    return SimpleNamespace(name=name, task=task, load=lambda: Load(slots=slots))


@pytest.mark.parametrize(("pieces", "belief"), [(1, 1.0), (7, 1.0), (7, 0.5), (7, 2.0)])
def test_a_server_with_room_refuses_nobody_and_an_overloaded_one_keeps_its_word(pieces, belief):
    usual = Server(0.02, belief=belief)
    usual.run(crowd(usual, 0.8, 50, pieces))
    assert len(usual.ended) > 200
    assert not usual.refused
    crowded = Server(0.02, belief=belief)
    asked = crowd(crowded, 3.0, 50, pieces)
    crowded.run(asked)
    assert len(crowded.ended) + len(crowded.refused) == len(asked)
    assert crowded.used > 0.95 * 50  # whoever is refused is refused for want of capacity
    soon = percentile([r.first for r in usual.ended], 0.95)
    assert percentile([r.first for r in crowded.ended], 0.95) < max(2 * soon, 0.5)
    assert percentile([r.silent for r in crowded.ended], 0.95) < 0.25  # and it plays on


def test_who_comes_back_when_told_is_let_in():
    when, times = 0.0, 0
    while times < 4:
        server, patient = Server(0.1), Request(when, [4.0] * 3)
        server.run([Request(0.0, [4.0] * 3) for _ in range(20)] + [patient])
        if patient in server.ended:
            break
        when, times = when + patient.retry_after, times + 1
    assert 1 <= times < 4
    assert when < 2 * len(server.ended) * 12 * 0.1 / 2  # and not long after there was room


def test_recordings_are_refused_when_their_transcripts_would_come_late():
    usual = Server(0.1, task=Task.TRANSCRIPTION)
    usual.run(crowd(usual, 0.8, 600, 5))
    assert not usual.refused
    crowded = Server(0.1, task=Task.TRANSCRIPTION)
    crowded.run(crowd(crowded, 3.0, 300, 5))
    assert crowded.used > 0.9 * 300
    promised = [LimitSettings().queue_seconds + SLOWDOWN * sum(r.pieces) * 0.1 for r in crowded.ended]
    late = [r.took / by for r, by in zip(crowded.ended, promised, strict=True)]
    assert percentile(late, 0.95) < 1


def test_bulk_does_not_keep_listeners_out():
    server = Server(0.02)
    books = [Request(0.0, [5.0] * 500, Terms(tier=Tier.BULK)) for _ in range(10)]
    listeners = crowd(server, 0.5, 60)
    server.run(books + listeners)
    assert not [r for r in server.refused if r.terms.tier is Tier.INTERACTIVE]
    assert percentile([r.first for r in server.ended if r in listeners], 0.95) < 0.3
    assert len(server.ended) == len(books) + len(listeners)


def test_bulk_has_a_bound_of_its_own():
    server = Server(0.1, bulk_queue_seconds=60)
    server.run([Request(0.0, [5.0] * 100, Terms(tier=Tier.BULK)) for _ in range(100)])
    assert 0 < len(server.ended) < 100
    assert all(r.retry_after >= 1 for r in server.refused)


def test_a_greedy_tenant_does_not_push_the_others_out():
    server = Server(0.02)
    greedy = crowd(server, 3.0, 50, tenant="greedy")
    modest = crowd(server, 0.3, 50, seed=2, tenant="modest")
    server.run(greedy + modest)
    refused = [r for r in server.refused if r.terms.tenant == "modest"]
    assert len(refused) < 0.06 * len(modest)  # where one of three of the greedy one's is let in
    served = sum(sum(r.pieces) for r in server.ended if r.terms.tenant == "greedy")
    assert served * 0.02 / 2 > 0.5 * 50  # and it has what the modest one leaves


def test_two_greedy_tenants_get_as_much_each():
    server = Server(0.02)
    server.run(crowd(server, 2.0, 30, tenant="a") + crowd(server, 4.0, 30, seed=2, tenant="b"))
    a, b = (sum(sum(r.pieces) for r in server.ended if r.terms.tenant == name) for name in "ab")
    assert 0.6 < a / b < 1.6


def test_a_share_bounds_a_tenant_that_is_alone():
    keys = [KeySettings(name="small", key=SecretStr("k"), share=0.2)]
    server = Server(0.05, keys=keys)
    server.run([Request(0.0, [5.0] * 40, Terms(tenant="small")) for _ in range(40)])
    whole = Server(0.05)
    whole.run([Request(0.0, [5.0] * 40) for _ in range(40)])
    assert 0 < len(server.ended) < 0.5 * len(whole.ended)


def test_first_audio_that_cannot_be_in_time_is_refused_at_once_with_the_time():
    admission = Admission(LimitSettings(), clock=Clock())
    size = Size(work=1.0, first=0.5, seconds=10)
    with pytest.raises(UnsupportedError, match=r"in 0\.2 s.*about 0\.50 s") as never:
        admission.admit(replica(), size, Terms(within=0.2)).__enter__()
    assert never.value.param == "first_audio_ms"
    with ExitStack() as inside:
        for _ in range(4):
            inside.enter_context(admission.admit(replica(), size, Terms()))
        with pytest.raises(BusyError, match="later than asked") as later:
            inside.enter_context(admission.admit(replica(), size, Terms(within=0.6)))
        assert 0.5 < later.value.retry_after < 2
        inside.enter_context(admission.admit(replica(), size, Terms(within=3.0)))


def test_a_model_that_is_slower_than_its_speech_speaks_to_one_at_a_time():
    server = Server(1.6, slots=1)
    server.run([Request(0.0, [4.0] * 5), Request(1.0, [4.0] * 5), Request(40.0, [4.0] * 5)])
    assert [r.came for r in server.ended] == [0.0, 40.0]
    assert 10 < server.refused[0].retry_after < 60


def test_without_a_known_cost_requests_are_counted_for_each_model():
    admission = Admission(LimitSettings(waiting=2))
    unknown = size_of_text("Hello", 1.0, None)
    with admission.admit(replica("a"), unknown, Terms()), admission.admit(replica("a"), unknown, Terms()):
        with (
            pytest.raises(BusyError, match="already has 2"),
            admission.admit(replica("a"), unknown, Terms()),
        ):
            pass
        with admission.admit(replica("b"), unknown, Terms()):
            pass
    with pytest.raises(KeyError), admission.admit(replica("a"), unknown, Terms()):
        raise KeyError
    with admission.admit(replica("a"), unknown, Terms()), admission.admit(replica("a"), unknown, Terms()):
        pass
    assert issubclass(BusyError, LimitError)


def test_a_key_may_be_bounded_by_number_and_by_the_minute():
    clock = Clock()
    keys = [KeySettings(name="k", key=SecretStr("x"), requests_per_minute=3, concurrent=2)]
    admission = Admission(LimitSettings(), keys, clock)
    size = size_of_text("Hello", 1.0, None)
    with (
        admission.admit(replica(), size, Terms(tenant="k")),
        admission.admit(replica("b"), size, Terms(tenant="k")),
    ):
        with pytest.raises(BusyError, match="'k' already has 2"):
            admission.admit(replica(), size, Terms(tenant="k")).__enter__()
        with admission.admit(replica(), size, Terms(tenant="other")):
            pass
    with admission.admit(replica(), size, Terms(tenant="k")):
        pass
    with pytest.raises(BusyError, match="may send 3 requests a minute") as refused:
        admission.admit(replica(), size, Terms(tenant="k")).__enter__()
    assert refused.value.retry_after == pytest.approx(20)
    clock.now = 20.1
    with admission.admit(replica(), size, Terms(tenant="k")):
        pass


def test_a_quota_fills_evenly():
    clock = Clock()
    quota = Quota(60, clock)
    for _ in range(60):
        quota.take()
    assert (quota.remaining, quota.reset, quota.wait) == (0, 60.0, 1.0)
    clock.now = 30.0
    assert (quota.remaining, quota.reset, quota.wait) == (30, 30.0, 0.0)
    clock.now = 300.0
    assert (quota.remaining, quota.reset) == (60, 0.0)


def test_a_ratio_follows_many_and_not_one():
    ratio = Ratio()
    for _ in range(40):
        ratio.learn(3.0, 1.0)
    assert ratio.value == pytest.approx(3, rel=0.01)
    ratio.learn(1000.0, 1.0)
    ratio.learn(0.0, 1.0)  # not measured
    assert ratio.value < 3.6


def test_sizes_follow_the_text():
    cost = Cost(0.01, 0.001)
    text = "A first sentence of its own. " + "And then there is more to say. " * 10
    size = size_of_text(text, 1.0, cost)
    assert size.work == pytest.approx(0.01 + 0.001 * len(text))
    assert size.first == pytest.approx(0.01 + 0.001 * 28)
    assert size_of_text(text, 2.0, cost).seconds == pytest.approx(size.seconds / 2)
    assert size_of_text((Utterance(text=text),), 1.0, cost) == size
    assert size_of_text("你好,今天天气很好,我们去公园散步吧。好。", 1.0, cost).first < 0.01 + 0.001 * 20
    assert size_of_text("no end", 1.0, cost).first == pytest.approx(0.016)
    assert size_of_recording(100, cost).work == pytest.approx(0.11)
    assert size_of_text(text, 1.0, None).work == 0


def test_the_length_of_a_recording_is_read_from_its_header_or_guessed(tmp_path):
    header = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0" + (44100).to_bytes(4, "little")
    wav = header + (176400).to_bytes(4, "little") + b"\x04\0\x10\0data" + bytes(4 + 352_800)
    assert probable_seconds(Upload(wav)) == pytest.approx(2.0, abs=0.01)
    path = tmp_path / "a"
    path.write_bytes(wav)
    assert probable_seconds(Upload(path)) == probable_seconds(Upload(wav))
    assert probable_seconds(Upload(b"ID3" + bytes(80_000))) == pytest.approx(10, abs=0.1)
    assert probable_seconds(Upload(b"RIFF\0\0\0\0WAVEJUNK" + bytes(64_000))) == pytest.approx(2, abs=0.1)
