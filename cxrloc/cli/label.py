"""`cxrloc label`: labels radiology reports."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrloc.cli.missing_inputs import existing
from cxrloc.cli.options import LogJson, Quiet, Seed
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    exit_on,
    plain_table,
    show_warnings,
    with_progress,
)


def label(
    reports: Annotated[
        Path,
        typer.Argument(
            callback=existing,
            help="Folder or .tgz of Open-i XML, CSV with a text column, or text files.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The label file; other files are written beside it.")
    ] = Path("labels.csv"),
    gold: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="Score the labels against those in this CSV, which has one row per report.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Also write the sentence, the words and the rule of each mention."
        ),
    ] = False,
    vocabulary: Annotated[
        str, typer.Option(help="Which findings become columns: chestxray14 or chexpert.")
    ] = "chestxray14",
    engine: Annotated[
        str,
        typer.Option(
            help="How negation is found: scope (trigger words) or dependency (a parser's graph)."
        ),
    ] = "scope",
    parser: Annotated[
        str, typer.Option(help="The spaCy pipeline that --engine dependency uses.")
    ] = "en_core_web_sm",
    cluster: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Cluster the clauses of diagnoses instead; the largest K become labels.",
        ),
    ] = None,
    out_of: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --cluster: the number of clusters that the largest K are taken from; five "
            "times K by default, fewer where there are few different clauses.",
        ),
    ] = None,
    section: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEADING",
            help="With --cluster: read only the text under this heading, in any language, such as "
            "impression. The option can be repeated.",
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            callback=existing,
            help="With --cluster: a CSV with the columns medoid and name. Clusters of one name "
            "become one label; a cluster with an empty name is left out.",
        ),
    ] = None,
    seed: Seed = 0,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Label radiology reports: 1, 0, -1 (uncertain) or empty.

    The label of a finding that a report does not mention is empty.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.errors import UsageError
        from cxrloc.pipeline import label as flow

        def watch(found: flow.Reports) -> flow.Reports:
            return with_progress(found, quiet, "Reports")

        if cluster is not None:
            if gold or explain:
                raise UsageError("--cluster excludes --gold and --explain")
            config = flow.ClusterConfig(cluster, names, seed, out_of, tuple(section or ()))
            clusters = flow.cluster(reports, out, config, watch)
            show_warnings(
                f"{count} reports are not English or Chinese (probably {language}): name their "
                "headings by --section; a denied list is known in English and Chinese only"
                for language, count in clusters.foreign.items()
            )
            if not quiet:
                show_clusters(clusters)
            exit_on(clusters.failures)
            return
        csv_options = {"--names": names, "--out-of": out_of, "--section": section}
        for option in (option for option, value in csv_options.items() if value):
            raise UsageError(f"{option} is for clusters: it needs --cluster")
        options = flow.LabelOptions(gold, explain, vocabulary, engine, parser, seed)
        result = flow.label(reports, out, options, watch)
        if not quiet:
            show_labels(result)
        exit_on(result.failures)


def show_labels(result: Any) -> None:
    """Print the number of labelled reports; with gold labels, also scores beside published ones."""
    from cxrloc.evaluation.published import cited
    from cxrloc.evaluation.report_labels.gold_scores import beside_rows, interval_rows

    screen = console()
    screen.print(
        "\n".join(
            [f"{result.reports} reports labelled, {len(result.failures)} not read.", *result.notes]
        ),
        highlight=False,
    )
    if result.scores is not None:
        scores, frame = result.scores, result.frame
        screen.print(
            f"{scores.reports} of them have gold labels; {scores.missing} reports with gold labels "
            "are not among them.\n"
            "Uncertain labels count as negative. Intervals: 95 %, bootstrap over reports.",
            highlight=False,
        )
        screen.print(plain_table(interval_rows(frame)))
        for name, beside in result.beside.items():
            screen.print(plain_table(beside_rows(frame, beside, cited(name))))
    screen.print(f"Written: {', '.join(map(str, result.files))}", highlight=False)


def show_clusters(result: Any) -> None:
    """Print the clusters by their medoids, and the share of the reports that they cover."""
    clustering, screen = result.clustering, console()
    named = ["name"] if result.names else []
    rows = [["Cluster, by its medoid", *named, "reports", "different clauses"]]
    for place, one in enumerate(clustering.clusters):
        name = [result.names[place] or "(left out)"] if result.names else []
        rows.append([one.medoid, *name, str(one.reports), str(len(one.members))])
    screen.print(plain_table(rows))
    screen.print(
        f"{clustering.coverage:.1%} of {len(clustering.labels)} reports are in these clusters; "
        f"{len(result.failures)} not read.\nWritten: {', '.join(map(str, result.files))}",
        highlight=False,
    )
