"""Writers of one object, one after the other."""

import asyncio

from tiphys.apiserver.turns import Turns


def test_who_comes_first_goes_first_and_other_keys_do_not_wait() -> None:
    async def story() -> None:
        turns, done = Turns(), []

        async def write(key: str, name: str) -> None:
            if not turns.take(key):
                await turns.wait(key)
            try:
                await asyncio.sleep(0)
                done.append(name)
            finally:
                turns.give(key)

        await asyncio.gather(*(write("a", f"a{n}") for n in range(5)), write("b", "b"))
        assert [name for name in done if name != "b"] == ["a0", "a1", "a2", "a3", "a4"]
        assert done.index("b") <= 1
        assert turns.take("a"), "nobody is left"

    asyncio.run(story())


def test_who_gives_up_lets_the_others_on() -> None:
    async def story() -> None:
        turns = Turns()
        assert turns.take("a")
        waiting = [asyncio.ensure_future(turns.wait("a")) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        turns.give("a")
        waiting[1].cancel()  # It has its turn in this same moment.
        await asyncio.wait_for(waiting[2], 1)
        turns.give("a")
        assert turns.take("a")

    asyncio.run(story())
