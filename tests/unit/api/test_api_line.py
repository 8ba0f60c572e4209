"""Heavy questions: one at a time, a few wait, nobody keeps the others out."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.unit.api.api_world import World

from quartermaster.api.line import LINE_MAX, TOKEN_LINE_MAX, Line
from quartermaster.api.routes import OPERATIONS
from quartermaster.kernel.errors import RefusedError, UnavailableError

ROWS = {row.name: row for row in OPERATIONS}
HEAVY, LIGHT = ROWS["showRisk"], ROWS["showMe"]


async def stand(line: Line, token: str, done: asyncio.Event, seen: list[str]) -> None:
    async with line.turn(HEAVY, token):
        seen.append(token)
        await done.wait()


def test_one_is_answered_at_a_time_and_in_order() -> None:
    async def main() -> list[str]:
        line, done, seen = Line(), asyncio.Event(), list[str]()
        waiting = [asyncio.create_task(stand(line, f"t{n}", done, seen)) for n in range(3)]
        await asyncio.sleep(0)
        assert seen == ["t0"]
        async with line.turn(LIGHT, "t9"):
            assert seen == ["t0"]
        done.set()
        await asyncio.gather(*waiting)
        return seen

    assert asyncio.run(main()) == ["t0", "t1", "t2"]


def test_a_token_and_the_whole_line_are_bounded_and_free_again_afterwards() -> None:
    async def main() -> None:
        line, done, seen = Line(), asyncio.Event(), list[str]()
        tokens = [f"t{n // TOKEN_LINE_MAX}" for n in range(LINE_MAX)]
        waiting = [asyncio.create_task(stand(line, one, done, seen)) for one in tokens]
        await asyncio.sleep(0)
        async with AsyncExitStack() as stack:
            with pytest.raises(RefusedError) as refused:
                await stack.enter_async_context(line.turn(HEAVY, "t0"))
            assert refused.value.http_status == 429
            with pytest.raises(UnavailableError):
                await stack.enter_async_context(line.turn(HEAVY, "another"))
        done.set()
        await asyncio.gather(*waiting)
        assert sorted(seen) == tokens
        async with line.turn(HEAVY, "t0"):
            pass

    asyncio.run(main())


def test_whoever_gives_up_leaves_the_line() -> None:
    async def main() -> None:
        line, done, seen = Line(), asyncio.Event(), list[str]()
        first = asyncio.create_task(stand(line, "a", done, seen))
        second = [asyncio.create_task(stand(line, "b", done, seen)) for _ in range(TOKEN_LINE_MAX)]
        await asyncio.sleep(0)
        for task in second:
            task.cancel()
        await asyncio.gather(*second, return_exceptions=True)
        done.set()
        await first
        async with line.turn(HEAVY, "b"):
            seen.append("b")
        assert seen == ["a", "b"]

    asyncio.run(main())


def test_a_failed_question_does_not_stop_the_line(world: World) -> None:
    client = world.client("viewer")
    for _ in range(LINE_MAX + 1):
        assert client.get("/api/v1/risk?book=live").status_code == 404
