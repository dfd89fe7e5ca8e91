"""What a log keeps, and what of it is shown."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.workloads.logs import LIMIT, OVERHEAD, Log, Selection, stamp


def read(log: Log, selection: Selection | None = None) -> bytes:
    """All that is asked for, in as many chunks as it takes."""
    selection = selection or Selection()
    found, at = b"", log.start(selection)
    while True:
        data, at = log.read(at, selection.timestamps)
        if not data:
            return found
        found += data


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_what_is_written_is_what_is_read(writes: list[bytes]) -> None:
    log = Log()
    for data in writes:
        log.add(data)
    log.close()
    assert read(log) == b"".join(writes)


def test_streams_do_not_cut_each_other_s_lines() -> None:
    log = Log()
    log.add(b"out", 1)
    log.add(b"err\n", 2)
    assert read(log) == b"err\n"
    log.add(b"put\n", 1)
    assert read(log) == b"err\noutput\n"


def test_the_end_of_a_log_ends_its_last_line() -> None:
    log = Log()
    log.add(b"no end")
    assert read(log) == b"" and not log.closed
    log.close()
    assert read(log) == b"no end" and log.closed


def test_a_log_keeps_the_last_megabyte() -> None:
    log = Log()
    for number in range(300):
        log.add(f"{number:04}".encode() + b"." * 9_995 + b"\n")
    found = read(log)
    assert LIMIT - 10_200 < len(found) + OVERHEAD * found.count(b"\n") <= LIMIT
    assert found.endswith(b".\n") and found[-10_000:-9_996] == b"0299" and b"0100" not in found
    assert log.read(0)[0][:4] == found[:4]  # a line that is forgotten: from the first that is there


def test_a_line_without_end_is_cut() -> None:
    log = Log()
    for _ in range(500):
        log.add(b"x" * 9_999)
    assert len(log.text()) <= LIMIT


@pytest.mark.parametrize(("tail", "expected"), [(None, b"1\n2\n3\n"), (2, b"2\n3\n"), (0, b""), (9, b"1\n2\n3\n")])
def test_tail(tail: int | None, expected: bytes) -> None:
    log = Log()
    log.add(b"1\n2\n3\n")
    assert read(log, Selection(tail)) == expected


def test_since_and_timestamps(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    for second in (1, 2, 3):
        monkeypatch.setattr("time.time_ns", lambda: second * 10**9 + 5)  # noqa: B023 - called within the turn
        log.add(f"{second}\n".encode())
    found = read(log, Selection(since=2 * 10**9, timestamps=True))
    assert found == b"1970-01-01T00:00:02.000000005Z 2\n1970-01-01T00:00:03.000000005Z 3\n"
    assert read(log, Selection(tail=3, since=3 * 10**9)) == b"3\n"


def test_stamp() -> None:
    assert stamp(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"


def test_who_follows_is_woken_by_a_line_and_by_the_end() -> None:
    async def scenario() -> None:
        log = Log()
        waiting = asyncio.create_task(log.more(0))
        await asyncio.sleep(0)
        log.add(b"half")
        await asyncio.sleep(0)
        assert not waiting.done()
        log.add(b" a line\n")
        await asyncio.wait_for(waiting, 5)
        waiting = asyncio.create_task(log.more(1))
        await asyncio.sleep(0)
        log.close()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())
