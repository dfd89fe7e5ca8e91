"""The first byte of a message, in each of the protocols that have channels; and the sizes of terminals."""

from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.apiserver.streams.channels import LARGEST_BASE64, Channels, Chunk
from labkit.apiserver.streams.sizes import Sizes
from labkit.apiserver.streams.spdy_frames import ProtocolError
from labkit.apiserver.streams.websocket import Piece


def fed(channels: Channels, *pieces: Piece) -> list[Chunk]:
    return [chunk for piece in pieces for chunk in channels.feed(piece)]


@given(st.integers(0, 200), st.binary(max_size=40), st.lists(st.integers(0, 41), max_size=3))
def test_a_message_in_pieces_is_the_same_data(channel: int, data: bytes, cuts: list[int]) -> None:
    message = Channels().message(channel, data)
    edges = [0, *sorted(min(c, len(message)) for c in cuts), len(message)]
    pieces = [Piece(message[a:b], i == len(edges) - 2) for i, (a, b) in enumerate(itertools.pairwise(edges))]
    chunks = fed(Channels(), *pieces)
    assert all(chunk.channel == channel for chunk in chunks)
    assert b"".join(chunk.data or b"" for chunk in chunks) == data


def test_the_close_signal_is_one_of_v5_only() -> None:
    assert fed(Channels(closing=True), Piece(b"\xff\x00", True)) == [Chunk(0, None)]
    assert fed(Channels(closing=True), Piece(b"\xff", False), Piece(b"", False), Piece(b"\x00", True)) == [
        Chunk(0, None)
    ]
    assert fed(Channels(), Piece(b"\xff\x00", True)) == [Chunk(255, b"\0")]
    for wrong in (b"\xff", b"\xff\x00\x01"):
        with pytest.raises(ProtocolError):
            fed(Channels(closing=True), Piece(wrong, True))


def test_base64_carries_digits_and_text() -> None:
    channels = Channels(base64=True)
    assert channels.message(1, b"\xff\0") == b"1" + base64.b64encode(b"\xff\0")
    assert fed(channels, Piece(b"0aG", False), Piece(b"kK", True)) == [Chunk(0, b"hi\n")]
    with pytest.raises(ProtocolError):
        fed(channels, Piece(b"0???", True))
    with pytest.raises(ProtocolError):
        fed(channels, Piece(b"0" + bytes(LARGEST_BASE64 + 1), False))


def test_an_empty_message_says_nothing() -> None:
    assert fed(Channels(), Piece(b"", True), Piece(b"\x00", True), Piece(b"\x00a", True)) == [Chunk(0, b"a")]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)), max_size=4), st.integers(1, 30))
def test_sizes_come_in_any_pieces(wanted: list[tuple[int, int]], step: int) -> None:
    text = "\n".join(json.dumps({"Width": w, "Height": h}) for w, h in wanted).encode()
    sizes = Sizes()
    assert [s for at in range(0, len(text), step) for s in sizes.feed(text[at : at + step])] == wanted


@pytest.mark.parametrize(
    "bad", [b"[]", b'"x"', b"nonsense", b'{"Width":-1}', b'{"Width":70000}', b'{"Width":"a"}', b"{" * 5000]
)
def test_what_is_no_size_ends_the_telling(bad: bytes) -> None:
    sizes = Sizes()
    assert not [*sizes.feed(bad), *sizes.feed(b'{"Width":80,"Height":24}')]
