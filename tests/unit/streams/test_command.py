"""exec, as clients of each protocol see it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from clients import Browser, Spdy, data, finished
from wire import Cat, Far, run
from wsproto.events import Ping

from labkit.apiserver.streams import spdy_frames as frames
from labkit.apiserver.streams.command import Options, converse, options
from labkit.apiserver.streams.ends import Process
from labkit.apiserver.streams.handshake import Accepted
from labkit.apiserver.streams.spdy_frames import Control, Data, Frame, ProtocolError
from labkit.apiserver.streams.taken import Taken
from labkit.errors import CommandError

ALL = Options(("cat",), "c", True, True, True)
TTY = Options(("cat",), "c", True, True, False, True)
V5, V4, V3 = "v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io"


def exec_(near: Taken, process: Cat, kind: Any, protocol: str, wanted: Options = ALL) -> asyncio.Task[None]:
    async def start() -> Process:
        return process

    return asyncio.create_task(converse(Accepted(kind, protocol, ()), near, wanted, start))


def test_v5_carries_input_output_its_end_and_the_status() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat(code=3)
        serving = exec_(near, process, "websocket", V5)
        browser = Browser(far)
        browser.send(b"\0hello", "\0text", b"\x07ignored", Ping(b"p"), b"\xff\x00")
        events = await browser.events()
        await serving
        assert events[0] == (1, b"")
        assert ("pong", b"p") in events
        assert b"".join(d for c, d in events if c == 1) == b"hellotext"
        channel, status = events[-2]
        assert (channel, json.loads(status)) == (
            3,
            {
                "metadata": {},
                "status": "Failure",
                "message": "command terminated with non-zero exit code: error executing command [cat], exit code 3",
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
            },
        )
        assert events[-1] == ("close", 1000)
        assert process.closed

    run(work)


def test_base64_is_text_both_ways() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat()
        serving = exec_(near, process, "websocket", "v4.base64.channel.k8s.io")
        browser = Browser(far)
        browser.send("0" + base64.b64encode(b"\xff\0").decode())
        await asyncio.sleep(0)
        await process.close_stdin()
        events = await browser.events()
        await serving
        assert events[0] == (ord("1"), b"")
        written = [base64.b64decode(d) for c, d in events if c == ord("1")]
        assert b"".join(written) in (b"\xff\0", b"")
        assert json.loads(base64.b64decode(dict(events[:-1])[ord("3")]))["status"] == "Success"

    run(work)


@pytest.mark.parametrize("protocol", ["", "channel.k8s.io"])
@pytest.mark.parametrize("code", [0, 2])
def test_old_protocols_say_nothing_after_a_success_and_text_after_a_failure(protocol: str, code: int) -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat(code)
        serving = exec_(near, process, "websocket", protocol)
        await process.close_stdin()
        events = dict(await Browser(far).events())
        await serving
        failure = b"command terminated with non-zero exit code: error executing command [cat], exit code 2"
        assert events.get(3) == (failure if code else None)

    run(work)


def test_a_terminal_learns_its_size() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat()
        wanted = Options(("sh",), "", True, True, True, True)  # stderr too, to see what the process says of its size
        serving = exec_(near, process, "websocket", V5, wanted)
        browser = Browser(far)
        browser.send(b'\x04{"Width":80,"He', b'\x04ight":24}', b"\xff\x00")
        events = await browser.events()
        await serving
        assert (2, b"80x24") in events

    run(work)


def test_a_command_that_cannot_be_started_is_an_internal_error() -> None:
    async def work(near: Taken, far: Far) -> None:
        async def start() -> Process:
            raise CommandError('exec: "nope": executable file not found in $PATH: unknown')

        serving = asyncio.create_task(converse(Accepted("websocket", V5, ()), near, ALL, start))
        events = dict(await Browser(far).events())
        await serving
        status = json.loads(events[3])
        assert (status["reason"], status["code"]) == ("InternalError", 500)
        assert status["message"] == (
            "Internal error occurred: error executing command in container: "
            'exec: "nope": executable file not found in $PATH: unknown'
        )

    run(work)


@pytest.mark.parametrize("bad", [b"\x80\x00", b"\x8f\x80\0\0\0\0", b"\xc2\x80\0\0\0\0", b"\x81\x81\0\0\0\0\xff"])
def test_what_is_no_websocket_is_answered_with_a_close(bad: bytes) -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat()
        serving = exec_(near, process, "websocket", V5)
        far.send(bad)
        events = await Browser(far).events()
        await serving
        assert events[-1][0] == "close" and events[-1][1] in (1002, 1007)
        assert process.closed

    run(work)


def test_spdy_streams_are_answered_carried_and_finished() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat(code=1)
        serving = exec_(near, process, "SPDY/3.1", V4)
        client = Spdy(far)
        of = client.open("error", "stdin", "stdout", "stderr")
        client.send(Data(of["stdin"], b"hel"), Control(frames.PING, value=7), Data(of["stdin"], b"lo", fin=True))
        found = await client.frames()
        far.close()
        await serving
        assert {f.stream for f in found if isinstance(f, Control) and f.type == frames.SYN_REPLY} == {1, 3, 5, 7}
        assert Control(frames.PING, value=7) in found
        assert data(found, of["stdout"]) == b"hello"
        assert json.loads(data(found, of["error"]))["details"]["causes"][0]["message"] == "1"
        assert finished(found) == {of["error"], of["stdout"], of["stderr"]}
        assert process.closed

    run(work)


def test_spdy_v3_says_failures_as_text_and_sizes_on_a_stream() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat(code=1)
        serving = exec_(near, process, "SPDY/3.1", V3, Options(("sh",), "", True, True, True, True))
        client = Spdy(far)
        of = client.open("error", "stdin", "stdout", "stderr", "resize")
        client.send(Data(of["resize"], b'{"Width":1,"Height":2}\n'))
        found: list[Frame] = []
        while not data(found, of["stderr"]):
            found += await client.some()
        client.send(Data(of["stdin"], b"", fin=True))
        found += await client.frames()
        far.close()
        await serving
        assert data(found, of["stderr"]) == b"1x2"
        assert data(found, of["error"]).startswith(b"command terminated with non-zero exit code")

    run(work)


def test_a_client_that_goes_ends_the_command_also_while_its_input_is_held_back() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat(deaf=True)
        serving = exec_(near, process, "SPDY/3.1", V4)
        client = Spdy(far)
        of = client.open("error", "stdin", "stdout", "stderr")
        client.send(*(Data(of["stdin"], bytes(60_000)) for _ in range(10)))
        await asyncio.sleep(0)
        far.close()
        await serving
        assert process.closed

    run(work)


def test_streams_that_were_not_asked_for_are_refused_and_known_mistakes_answered() -> None:
    async def work(near: Taken, far: Far) -> None:
        serving = exec_(near, Cat(), "SPDY/3.1", V4, Options(("cat",), "", False, True, False))
        client = Spdy(far)
        client.send(Control(frames.SYN_STREAM, 1, {"streamtype": "stdin"}), Control(frames.SYN_STREAM, 3, {}))
        client.send(Data(99, b"to nobody"), Control(frames.SYN_STREAM, 3, {"streamtype": "error"}))
        found = await client.frames()
        far.close()
        await serving
        refused = {(f.stream, f.value) for f in found if isinstance(f, Control) and f.type == frames.RST_STREAM}
        assert refused == {(1, frames.REFUSED_STREAM), (3, frames.REFUSED_STREAM), (99, frames.INVALID_STREAM)}
        assert found[-1] == Control(frames.GOAWAY, 3, value=frames.PROTOCOL_ERROR), "a number used twice"

    run(work)


def test_output_waits_for_a_client_that_does_not_read() -> None:
    async def work(near: Taken, far: Far) -> None:
        process = Cat(room=1)
        serving = exec_(near, process, "websocket", V5)
        given = 0

        async def give() -> None:
            nonlocal given
            while True:
                await process.write(bytes(65536))
                given += 65536

        giving = asyncio.create_task(give())
        before = -1
        while before != given:
            before = given
            await asyncio.sleep(0.05)
        assert given < 8_000_000
        giving.cancel()
        far.close()
        await serving
        assert process.closed

    run(work)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"stdout": ["true"], "command": ["a", "b"]}, Options(("a", "b"), stdout=True)),
        ({"stdout": ["1"], "stderr": ["1"], "tty": ["1"]}, Options(stdout=True, tty=True)),
        ({"stdin": [""], "stdout": ["false"], "container": ["c"]}, Options(container="c", stdin=True)),
    ],
)
def test_options_from_a_query(query: dict[str, list[str]], wanted: Options) -> None:
    assert options(query) == wanted


def test_options_that_ask_for_nothing() -> None:
    with pytest.raises(ProtocolError, match="at least 1 of stdin, stdout, stderr"):
        options({"stdout": ["0"], "command": ["a"]})
