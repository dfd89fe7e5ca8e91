"""SPDY's bytes: those that a real client sends, whatever pieces they come in, and those that nobody should."""

from __future__ import annotations

import itertools
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver.streams import spdy_frames as frames
from labkit.apiserver.streams.spdy_frames import Control, Data, Decoder, Encoder, Frame, ProtocolError

# What kubectl 1.20 sends for `kubectl exec -i pod -- cat` with "hi\n" at its standard input.
KUBECTL = bytes.fromhex(
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff"
    "800300010000001700000003000000000000c22e555c92929907000000ffff"
    "800300010000001900000005000000000000c22ac5565c92925f5a02000000ffff"
    "800300010000001500000007000000000000c229975a5404000000ffff"
    "000000030000000368690a0000000301000000"
)
OPENED = [
    Control(frames.SYN_STREAM, number, {"streamtype": kind})
    for number, kind in ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr"))
]
SENT = [*OPENED, Data(3, b"hi\n"), Data(3, b"", fin=True)]


def decoded(*pieces: bytes) -> list[Frame]:
    decoder = Decoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)]


def joined(found: list[Frame]) -> list[Frame]:
    """With the pieces of one data frame put together again."""
    whole: list[Frame] = []
    for frame in found:
        last = whole[-1] if whole else None
        if isinstance(frame, Data) and frame.data and isinstance(last, Data) and not last.fin:
            whole[-1] = Data(frame.stream, last.data + frame.data, frame.fin)
        else:
            whole.append(frame)
    return whole


def test_the_dictionary_is_the_one_that_all_know() -> None:
    assert (len(frames.DICTIONARY), zlib.adler32(frames.DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_what_kubectl_sends_is_understood_in_one_piece_and_byte_by_byte() -> None:
    assert decoded(KUBECTL) == SENT
    assert joined(decoded(*(bytes([b]) for b in KUBECTL))) == SENT


@given(st.lists(st.integers(0, len(KUBECTL)), max_size=6))
def test_where_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(KUBECTL)]
    assert joined(decoded(*(KUBECTL[a:b] for a, b in itertools.pairwise(edges)))) == SENT


HEADERS = st.dictionaries(st.from_regex(r"[a-z][a-z-]{0,10}", fullmatch=True), st.text("azAZ09 -\0", max_size=30))
FRAMES = st.one_of(
    st.builds(Data, st.integers(1, 2**31 - 1), st.binary(min_size=1, max_size=50), st.booleans()),
    st.builds(Control, st.just(frames.SYN_STREAM), st.integers(1, 99), HEADERS, st.booleans()),
    st.builds(Control, st.just(frames.SYN_REPLY), st.integers(1, 99), HEADERS, st.booleans()),
    st.builds(Control, st.just(frames.PING), value=st.integers(0, 2**32 - 1)),
    st.builds(Control, st.just(frames.RST_STREAM), st.integers(1, 99), value=st.integers(1, 11)),
    st.builds(Control, st.just(frames.GOAWAY), st.integers(0, 99), value=st.integers(0, 2)),
    st.builds(Control, st.just(frames.WINDOW_UPDATE), st.integers(0, 99), value=st.integers(1, 2**31 - 1)),
)


@given(st.lists(FRAMES, max_size=8))
def test_what_is_encoded_is_decoded(sent: list[Frame]) -> None:
    encoder = Encoder()
    assert decoded(b"".join(map(encoder.encode, sent))) == sent


def test_settings_and_unknown_control_frames_are_passed_over() -> None:
    settings = bytes.fromhex("800300040000000c000000010000000700010000")
    assert decoded(settings + Encoder().encode(Data(1, b"x"))) == [Control(frames.SETTINGS), Data(1, b"x")]


BAD = {
    "another version": bytes.fromhex("8002000600000004 00000001".replace(" ", "")),
    "a control frame too large": bytes.fromhex("8003000101000000"),
    "a ping without a number": bytes.fromhex("8003000600000000"),
    "a reset too long": bytes.fromhex("800300030000000c") + bytes(12),
    "headers that are no zlib": bytes.fromhex("80030001000000180000000100000000000078f9") + bytes(20),
    "headers cut short": Encoder().encode(Control(frames.SYN_STREAM, 1))[:18].replace(b"\x00\x00\x00\x1e", b"\0\0\0\n"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_not_the_protocol_is_refused(data: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(ProtocolError):
        list(decoder.feed(data + bytes(64)))


def test_headers_that_inflate_without_end_are_refused() -> None:
    encoder = Encoder()
    bomb = encoder.encode(Control(frames.SYN_STREAM, 1, {"a": "x" * (frames.LARGEST_HEADERS + 1)}))
    assert len(bomb) < 2000
    with pytest.raises(ProtocolError, match="more than"):
        decoded(bomb)


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_be_refused(data: bytes) -> None:
    with suppress(ProtocolError):
        decoded(data)
