"""`cxrloc manifest`: lists the images of an archive."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.options import LogJson, Quiet
from cxrloc.cli.terminal import clear_errors, console, with_progress


def manifest(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|URI...",
            help="Files, folders, or object stores that fsspec knows (s3://, gs://, memory://).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Parquet file.")] = Path("manifest.parquet"),
    where: Annotated[
        str, typer.Option(help="Keep rows for which this SQL condition on the columns is true.")
    ] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="Key of the hashes that stand for patients and UIDs.  [default: the environment "
            "variable CXRLOC_ID_KEY]",
            show_default=False,
        ),
    ] = None,
    clear_ids: Annotated[
        bool, typer.Option("--clear-ids", help="Write ids as they are, for public data.")
    ] = False,
    dates: Annotated[bool, typer.Option("--dates", help="Write dates of acquisition.")] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Threads that fetch the beginnings of files.")
    ] = 8,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """List the images of an archive by their headers, as Parquet.

    The file has one row per image; no pixel is read.
    """
    with clear_errors(quiet, log_json, go_on="Nothing is written. Call the same command again."):
        from cxrloc.archive.manifest import ManifestOptions, id_key, write_manifest

        options = ManifestOptions(id_key(key_file), clear_ids, dates, where, workers)
        counts = write_manifest(places, out, options, lambda rows: with_progress(rows, quiet))
        if not quiet:
            console().print(
                f"{counts.images} images, {counts.duplicates} of them duplicates, are in {out}; "
                f"{counts.failures} files cannot be read.",
                highlight=False,
            )
        if counts.failures:
            raise typer.Exit(1)
