"""The channel over a socket pair: requests cross both ways, errors keep their class, nothing hangs when an end goes."""

import asyncio
import os
import socket
import tty
from collections.abc import Awaitable, Callable
from io import FileIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import ApiError, LabError, SandboxError
from labkit.sandbox.channel import OPEN, SERIAL_WINDOW, Peer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def run(handlers: dict[str, Any], work: Callable[[Peer, Peer], Awaitable[None]]) -> None:
    async def both() -> None:
        left, right = socket.socketpair()
        a, b = await Peer.over(left, {}), await Peer.over(right, handlers)
        try:
            await work(a, b)
        finally:
            a.close()
            b.close()
            await asyncio.gather(a.closed(), b.closed())

    asyncio.run(both())


@settings(max_examples=30, deadline=None)
@given(JSON)
def test_any_plain_value_comes_back_as_it_went(value: Any) -> None:
    async def work(a: Peer, _: Peer) -> None:
        assert await a.call("echo", value=value) == value

    run({"echo": lambda value: value}, work)


def test_a_serial_line_is_never_sent_more_than_its_reader_holds() -> None:
    async def over_a_terminal() -> None:
        master, slave = os.openpty()
        for fd in (master, slave):
            tty.setraw(fd)
        most = 0

        class Counting(Peer):
            def _send(self) -> None:
                super()._send()
                nonlocal most
                most = max(most, self._unread)

        a = await Counting.over(FileIO(master, "r+"), {}, early=True, window=SERIAL_WINDOW)
        b = await Peer.over(FileIO(slave, "r+"), {"echo": lambda value: value})
        asking = asyncio.ensure_future(a.call("echo", value="x" * 300_000))
        await asyncio.sleep(0)
        assert most == 0, "nothing before the other end is open"
        b.notify(OPEN)
        assert await asking == "x" * 300_000
        assert most == SERIAL_WINDOW
        a.close()
        b.close()

    asyncio.run(over_a_terminal())


def test_a_peer_that_is_asked_for_a_sign_of_life_gives_one() -> None:
    async def work(a: Peer, _: Peer) -> None:
        before = a.heard
        a.ping()
        async with asyncio.timeout(5):
            while a.heard == before:
                await asyncio.sleep(0)

    run({}, work)


def test_a_large_answer_and_many_at_once() -> None:
    async def work(a: Peer, _: Peer) -> None:
        answers = await asyncio.gather(*(a.call("fill", n=n) for n in (1, 3_000_000, 10, 500_000)))
        assert [len(answer) for answer in answers] == [1, 3_000_000, 10, 500_000]

    run({"fill": lambda n: b"x" * n}, work)


def test_errors_keep_class_message_and_details() -> None:
    def refuse() -> None:
        raise ApiError("no", status={"code": 409})

    async def work(a: Peer, _: Peer) -> None:
        with pytest.raises(ApiError, match="no") as caught:
            await a.call("refuse")
        assert caught.value.details["status"]["code"] == 409
        with pytest.raises(LabError, match="ZeroDivisionError"):
            await a.call("divide")
        with pytest.raises(LabError, match="no operation 'nothing'"):
            await a.call("nothing")

    run({"refuse": refuse, "divide": lambda: 1 / 0}, work)


def test_cancelling_a_call_cancels_the_work() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def work(a: Peer, _: Peer) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(a.call("forever"), 0.01)
        await asyncio.wait_for(cancelled.wait(), 5)

    run({"forever": forever}, work)


def test_a_waiting_call_ends_when_the_other_end_goes() -> None:
    async def work(a: Peer, b: Peer) -> None:
        waiting = asyncio.ensure_future(a.call("forever"))
        await asyncio.sleep(0)
        b.close()
        with pytest.raises(SandboxError, match="has ended"):
            await waiting
        await a.closed()
        with pytest.raises(SandboxError, match="has ended"):
            await a.call("anything")

    run({"forever": asyncio.Event().wait}, work)


def test_a_frame_too_large_closes_the_channel() -> None:
    async def work(a: Peer, b: Peer) -> None:
        assert a._transport
        a._transport.write(b"\xff\xff\xff\xff")
        await asyncio.wait_for(b.closed(), 5)

    run({}, work)
