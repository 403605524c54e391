"""`opsin serve`: models over HTTP."""

from pathlib import Path

import typer

EXAMPLES = (
    "opsin serve RUN",
    "opsin serve models/flowers runs/phishing --name flowers --name phishing --port 9000",
    "opsin serve RUN --host 0.0.0.0 --api-key $KEY --allow-host pictures.example",
    "opsin serve --config serve.toml",
    "curl -H 'Content-Type: image/jpeg' --data-binary @cat.jpg localhost:8501/v1/models/RUN:classify_image",
)


def serve(
    paths: list[Path] = typer.Argument(
        None,
        metavar="PATH...",
        help="Runs, model folders, exports, or folders of numbered versions, which are watched.",
        show_default=False,
    ),
    name: list[str] = typer.Option([], help="What a model is called, in the order of the paths (default: its folder)."),
    config: Path | None = typer.Option(None, help="These settings as a TOML file, models by name in its table models."),
    host: str | None = typer.Option(None, help="The address to listen at (default: 127.0.0.1)."),
    port: int | None = typer.Option(None, help="The port, 0 for any that is free (default: 8501)."),
    workers: int | None = typer.Option(None, help="How many processes answer (default: 1)."),
    api_key: str | None = typer.Option(None, help="What clients must send; better in OPSIN_SERVE_API_KEY."),
    no_auth: bool | None = typer.Option(None, "--no-auth", help="Anybody who reaches the address may ask."),
    allow_host: list[str] = typer.Option(
        None, help="A name that requests may be addressed to; * for any.", show_default=False
    ),
    allow_origin: list[str] = typer.Option(
        None, help="A web page, https://app.example, whose scripts may ask.", show_default=False
    ),
    threads: int | None = typer.Option(None, help="Threads of the network (default: all cores, shared among workers)."),
    batch: int | None = typer.Option(
        None, help="Pictures the network sees at once, at most; 1: each alone (default: 8)."
    ),
    queue: int | None = typer.Option(None, help="Pictures of a model that may wait for an answer (default: 128)."),
    timeout: float | None = typer.Option(None, help="Seconds a request may take (default: 30)."),
    max_bytes: int | None = typer.Option(None, help="Bytes a request may have (default: 33554432)."),
    max_pixels: int | None = typer.Option(None, help="Pixels a picture may have (default: 50000000)."),
    max_pictures: int | None = typer.Option(None, help="Pictures a request may have (default: 64)."),
    keep: int | None = typer.Option(None, help="Versions of a folder that stay loaded, the newest (default: 2)."),
    label: list[str] = typer.Option(
        None, metavar="MODEL:LABEL=NUMBER", help="Another name of a version, which stays loaded.", show_default=False
    ),
    threshold: float | None = typer.Option(None, help="Call a picture unknown whose best class is less probable."),
    access_log: bool | None = typer.Option(
        None, "--access-log/--no-access-log", help="A line of JSON on stdout for each request (default: yes)."
    ),
) -> None:
    """Answer over HTTP: pictures in, names out, and all that a client of TensorFlow Serving asks.

    SIGTERM ends it: nothing new is taken, what is there is answered, the exit code is 0.

    Every setting, more than there are options, can stand in the file of --config and in the environment
    (OPSIN_SERVE_PORT=9000); an option goes before the environment, that before the file.
    """
    given = {key: value for key, value in locals().items() if key not in ("paths", "name", "config")}
    from opsin.catalog import require_installed
    from opsin.errors import UsageError

    require_installed(("starlette", "uvicorn", "python_multipart", "prometheus_client"), "serving")
    from opsin.serving.app import name_models
    from opsin.serving.run import serve as run
    from opsin.serving.settings import resolve_settings

    settings, configured = resolve_settings(
        {key: value or None if value == [] else value for key, value in given.items()}, config=config
    )
    models = {**{key: Path(value) for key, value in configured.items()}, **name_models(paths or [], name)}
    if not models:
        raise UsageError("Expected a model to serve; received none. Give its folder.")
    run(models, settings)
