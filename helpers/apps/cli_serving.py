"""python -m helpers register, serve."""

import argparse
import os
import socket
import sys
from pathlib import Path

import torch

from helpers import settings

NAMES = ("meli-titles", "sms-spam", "sick-similarity")
HOST, PORT = "127.0.0.1", 5001


def add_commands(commands) -> None:
    """Add `register` and `serve` to the command line."""
    parser = commands.add_parser("register", help="register the models that can be called; train what is missing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="which `train --save` wrote; for one name")
    parser.set_defaults(run=register)
    parser = commands.add_parser("serve", help=f"answer requests with a registered model, on {HOST}")
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(NAMES)}; registered first if it is not yet")
    parser.add_argument("--port", type=_port, default=PORT, metavar="N", help="default: %(default)s")
    parser.set_defaults(run=serve)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def register(options: argparse.Namespace) -> None:
    """Register the models named, or all of them."""
    names = options.names or NAMES
    if options.model and len(names) != 1:
        raise ValueError("--model is the folder of one model: name which")
    for name in names:
        print(f"registered: {_registry().register(name, options.model)}", flush=True)


def serve(options: argparse.Namespace) -> None:
    """Become MLflow's server of a model; ends with Ctrl-C."""
    address = _registry().current(options.name) or _registry().register(options.name)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, options.port))
        except OSError:
            raise ValueError(f"port {options.port} is taken: give another, --port N (make: PORT=N)") from None
    print(f"{address}: POST http://{HOST}:{options.port}/invocations; it is ready once GET /ping answers", flush=True)
    arguments, environment = server(address, options.port)
    os.execve(arguments[0], arguments, environment)  # noqa: S606 (no shell; names from a fixed list)


def server(address: str, port: int) -> tuple[list[str], dict[str, str]]:
    """The command that serves a registered model on 127.0.0.1, and the environment it needs.

    Args:
        address: models:/<name>/<version>.
    """
    from helpers.report.tracking import store_uri

    command = ["models", "serve", "--model-uri", address, "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])  # MLflow: `uvicorn`
    environment = os.environ | {"PATH": path, "MLFLOW_TRACKING_URI": store_uri(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "OMP_NUM_THREADS": str(settings.threads())}
    return [sys.executable, "-m", "mlflow", *command, "--host", HOST, "--port", str(port)], environment


def _registry():
    """The registry, for trainings on real data: the synthetic sample makes no model that is worth calling."""
    os.environ |= {"PROFILE": "full", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    torch.set_num_threads(settings.threads())

    from helpers.apps import serving

    return serving
