"""A follower as a process of its own, to be killed: `python -m tests.flow.followers URL`."""

import asyncio
import sys

from postrider.app import FOLLOWERS
from postrider.db.database import Database
from postrider.engine.journal.follow import Dispatch

OWNER = "mortal"


async def follow(database: Database) -> None:
    """A batch for every line that comes in, until nothing waits."""
    dispatch = Dispatch(database, FOLLOWERS, OWNER)
    while sys.stdin.readline() and await dispatch.once():
        print("followed", flush=True)
    if dispatch.parked:
        raise SystemExit(f"{dispatch.parked} events parked")


if __name__ == "__main__":
    database = Database(sys.argv[1])
    asyncio.run(follow(database))
    database.close()
