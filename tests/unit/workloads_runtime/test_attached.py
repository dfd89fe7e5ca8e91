"""Attaching: who hears what, whose input was taken, and who holds the program back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from labkit.workloads.attached import Attached, Input
from labkit.workloads.logs import Log


class Program:
    """What an `Input` asks of a program."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values: self.calls.append(" ".join([name, *map(str, values)]))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def attached(log: Log, source: Input | None = None) -> tuple[Attached, list[tuple[int, bytes]], list[int]]:
    heard: list[tuple[int, bytes]] = []
    taken: list[int] = []
    return Attached(log, source, lambda stream, data: heard.append((stream, data)), taken.append), heard, taken


def program(open: bool = True, once: bool = False) -> tuple[Input, Program]:  # noqa: A002
    source, stand_in = Input(open, once), Program()
    source.program = stand_in  # type: ignore[assignment]
    return source, stand_in


def test_output_is_heard_from_now_on_until_the_container_ends() -> None:
    async def work() -> None:
        log = Log()
        log.add(b"before\n")
        end, heard, _ = attached(log)
        log.add(b"out\n")
        log.add(b"err", 2)
        log.close()
        assert heard == [(1, b"out\n"), (2, b"err")]
        assert await end.wait() == 0
        late, heard, _ = attached(log)
        assert await late.wait() == 0 and heard == []

    run(work())


def test_who_detaches_hears_no_more_and_others_do() -> None:
    async def work() -> None:
        log = Log()
        one, heard_one, _ = attached(log)
        _, heard_two, _ = attached(log)
        await one.end()
        log.add(b"x")
        assert (heard_one, heard_two) == ([], [(1, b"x")])

    run(work())


def test_a_client_that_does_not_keep_up_misses_what_a_server_writes() -> None:
    async def work() -> None:
        log = Log()
        end, heard, _ = attached(log)
        end.pause()
        log.add(b"missed")
        end.resume()
        log.add(b"heard")
        assert heard == [(1, b"heard")]

    run(work())


def test_a_program_with_an_input_waits_for_the_slowest() -> None:
    async def work() -> None:
        log = Log()
        source, asked = program()
        one, heard, _ = attached(log, source)
        two, _, _ = attached(log, source)
        one.pause()
        two.pause()
        one.resume()
        assert asked.calls == ["pause"]
        await two.end()
        assert asked.calls == ["pause", "resume"]
        one.pause()
        log.add(b"not missed")
        assert heard == [(1, b"not missed")]

    run(work())


def test_each_is_told_when_its_own_input_was_taken() -> None:
    async def work() -> None:
        source, _ = program()
        one, _, taken_one = attached(Log(), source)
        two, _, taken_two = attached(Log(), source)
        one.feed(b"12345")
        two.feed(b"67")
        source.taken(3)
        source.taken(3)
        assert (taken_one, taken_two) == ([3, 2], [1])
        source.taken(1)
        assert taken_two == [1, 1]

    run(work())


def test_input_that_nobody_wants_counts_as_taken() -> None:
    async def work() -> None:
        for source in (None, program(open=False)[0]):
            end, _, taken = attached(Log(), source)
            end.feed(b"abc")
            end.close_input()
            assert taken == [3]

    run(work())


def test_the_input_ends_with_the_first_client_only_where_it_is_meant_to() -> None:
    async def work() -> None:
        for once in (False, True):
            source, asked = program(once=once)
            end, _, _ = attached(Log(), source)
            await end.end()
            assert ("close_input" in asked.calls) == once

    run(work())
