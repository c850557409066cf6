"""Runs a node in this process: the loop, the signals, a graceful end."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable

import typer
import uvloop

from postrider import logs
from postrider.app import ROLES, AlreadyRunning, Node, WrongMasterKey
from postrider.db.database import Unavailable
from postrider.settings import Settings

COLLECT_AFTER = (20_000, 20, 20)  # a message leaves some hundred objects, almost none in cycles


def run_node(settings: Settings, roles: str, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends at once."""
    chosen = [role.strip() for role in roles.split(",") if role.strip()] or list(ROLES)
    if unknown := [role for role in chosen if role not in ROLES]:
        typer.echo(f"unknown role {', '.join(unknown)}; known are {', '.join(ROLES)}", err=True)
        raise typer.Exit(2)
    logs.set_up(settings.log_format, settings.log_level)
    try:
        uvloop.run(_serve(settings, chosen, on_ready))
    except (AlreadyRunning, WrongMasterKey, Unavailable, OSError) as fault:
        typer.echo(f"postrider: {fault}", err=True)
        raise typer.Exit(1) from None


async def _serve(settings: Settings, roles: list[str], on_ready: Callable[[], None]) -> None:
    node = Node(settings, roles)
    await node.start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _on_signal, ended)
    on_ready()
    _calm_collector()
    waits = [asyncio.create_task(ended.wait()), asyncio.create_task(node.lost.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await node.stop()


def _calm_collector() -> None:
    """What is there now stays: look only at what comes after it, and not after every 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _on_signal(ended: asyncio.Event) -> None:
    if ended.is_set():
        sys.exit(1)
    ended.set()
