"""Start the application's server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from agro.schema.errors import ConfigError

ADDRESS = "127.0.0.1"


def command(workspace: Path, port: int, headless: bool, region: str | None = None) -> list[str]:
    """Command that starts the server; its settings are in ``app/.streamlit/config.toml``."""
    return [
        sys.executable, "-m", "app.server", "--server.port", str(port), "--server.address", ADDRESS,
        "--server.headless", str(headless).lower(), "--", "--workspace", str(workspace.resolve()),
        *(["--region", region] if region else []),
    ]  # fmt: skip


def launch(workspace: Path, port: int = 8501, headless: bool = False, region: str | None = None) -> int:
    """Run the server until it is stopped with Ctrl-C.

    Parameters
    ----------
    workspace : pathlib.Path
        Workspace to show; one that is empty or absent shows a page that says what to do.
    port : int
        Port on this machine.
    headless : bool
        Do not open a browser.
    region : str, optional
        Region shown first.

    Returns
    -------
    int
        The server's exit code; 0 when a person stopped it.

    Raises
    ------
    ConfigError
        The port is taken or not allowed.
    """
    with socket.socket() as probe:
        if os.name == "posix":  # as the server does: a port just left is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"port {port} cannot be used", where="app", do="Close what uses it, or choose another one with --port"
            ) from error
    server = subprocess.Popen(command(workspace, port, headless, region))
    try:
        return server.wait()
    except KeyboardInterrupt:
        server.wait()
        return 0
