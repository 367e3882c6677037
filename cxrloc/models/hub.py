"""Models on Hugging Face's hub: `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra
from cxrloc.files.structured import parse_json
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.adopt import adopt
from cxrloc.models.adoption import Adoption
from cxrloc.models.card import ModelCard
from cxrloc.models.card_text import card_lines, finding_rows
from cxrloc.models.model import Model
from cxrloc.models.presets import IMAGENET_MEAN, IMAGENET_STD
from cxrloc.models.transformers_names import timm_name
from cxrloc.text import for_markdown, one_line

PREFIX = "hf:"

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights in a repository; the first one that is there is taken."""

_COMMIT = re.compile("[0-9a-f]{40}")

_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub at one revision.

    Attributes:
        repo: "ORG/NAME".
        revision: branch, tag or commit; None: the default branch.
    """

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return PREFIX + self.repo + (f"@{self.revision}" if self.revision else "")


def repository_of(name: str) -> Repository:
    """The repository in a model's name, such as `hf:ORG/NAME`.

    Raises:
        UsageError: the name has another form.

    >>> repository_of("hf:someone/chest@v2")
    Repository(repo='someone/chest', revision='v2')
    """
    match = _NAME.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise UsageError(f"--model {name}: write hf:ORG/NAME or hf:ORG/NAME@REVISION")
    return Repository(match["repo"], match["revision"])


def fetch_weights(repository: Repository) -> Path:
    """The file of weights of a repository, from the cache or the hub.

    Raises:
        CxrlocError: huggingface_hub is not installed, or there are no weights to be had.
    """
    for name in WEIGHTS:
        path = fetch(repository, name)
        if path is not None:
            return path
    raise CxrlocError(f"{repository}: the repository has none of {', '.join(WEIGHTS)}")


def fetch(repository: Repository, name: str) -> Path | None:
    """One file of a repository, from the cache or the hub; None if the repository lacks it.

    Raises:
        CxrlocError: huggingface_hub is not installed, the hub refuses or cannot be reached, and the
            cache does not have the file.
    """
    hub: Any = import_extra("huggingface_hub", "hub")
    errors: Any = import_extra("huggingface_hub.errors", "hub")
    if _COMMIT.fullmatch(repository.revision or ""):  # its files never change
        cached = hub.try_to_load_from_cache(repository.repo, name, revision=repository.revision)
        if isinstance(cached, str):
            return Path(cached)
    try:
        url = hub.hf_hub_url(repository.repo, name, revision=repository.revision)
        path = hub.hf_hub_download(
            repository.repo,
            name,
            revision=repository.revision,
            local_files_only=not _hub_answers(url),
        )
        return Path(path)
    except errors.LocalEntryNotFoundError as error:
        raise CxrlocError(
            f"{repository}: {url} is not in the cache and cannot be fetched: "
            f"fetch it where there is a network (hf download {repository.repo}) and copy the "
            "folder that HF_HOME names"
        ) from error
    except errors.GatedRepoError as error:
        raise CxrlocError(
            f"{repository}: its authors ask for their terms to be accepted: do so on its page, "
            "then `hf auth login`"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise CxrlocError(
            f"{repository}: the hub has no such repository or revision, or it is private "
            "(`hf auth login`)"
        ) from error
    except errors.EntryNotFoundError:
        return None
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        raise CxrlocError(f"{repository}: {name}: {one_line(str(error), 200)}") from error


def _hub_answers(url: str) -> bool:
    """Whether the hub answers a request for a file; an HTTP error is an answer too.

    Without this one request, `hf_hub_download` repeats its own for 23 seconds where there is no
    network.
    """
    hub: Any = import_extra("huggingface_hub", "hub")
    errors: Any = import_extra("huggingface_hub.errors", "hub")
    try:
        hub.get_hf_file_metadata(url)
    except errors.HfHubHTTPError:
        return True
    except Exception:  # that of the HTTP library, which is another one in each version
        return False
    return True


def adopt_from_hub(repository: Repository, weights: Path) -> Model:
    """An image classifier of timm or transformers from the hub.

    Raises:
        CxrlocError: its config.json does not say what is needed, or says something unknown.
    """
    config = _settings(repository, "config.json")
    try:
        if "architecture" in config:
            adoption = _of_timm(repository, config)
        else:
            adoption = _of_transformers(repository, config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, KeyError) and isinstance(error.args[0], str):
            reason = f"has no {error.args[0]}"
        elif isinstance(error, KeyError):  # a size of a table here
            reason = f"describes a network that is unknown here ({error})"
        else:
            reason = f"cannot be used ({error})"
        raise CxrlocError(f"{repository}: config.json {reason}") from error
    return adopt([weights], adoption).model


def _settings(repository: Repository, name: str) -> dict[str, Any]:
    path = fetch(repository, name)
    if path is None:
        return {}
    values = parse_json(path.read_text(encoding="utf-8"), f"{repository}: {name}")
    return values if isinstance(values, dict) else {}


def _of_timm(repository: Repository, config: dict[str, Any]) -> Adoption:
    about = config.get("pretrained_cfg", config)
    size = int(about.get("input_size", (3, 224, 224))[-1])
    larger = 2 * round(size / float(about.get("crop_pct") or 1.0) / 2)
    mean, std = about.get("mean", IMAGENET_MEAN), about.get("std", IMAGENET_STD)
    prepared = Preprocessing(
        size,
        "squash" if about.get("crop_mode") == "squash" else "crop",
        crop_from=larger if larger > size and size % 2 == 0 else 0,
        source_size=None,
        mean=tuple(mean),
        std=tuple(std),
    )
    labels = config.get("label_names") or about.get("label_names")
    if not labels:
        raise CxrlocError(
            f"{repository}: its config.json names no findings: fetch its weights and give them to "
            "`cxrloc adopt` with --findings"
        )
    card = _card(repository, "sigmoid", str(about.get("license") or config.get("license") or ""))
    return Adoption(f"timm:{config['architecture']}", tuple(labels), prepared, card)


def _of_transformers(repository: Repository, config: dict[str, Any]) -> Adoption:
    labels = config["id2label"]
    findings = tuple(str(labels[key]) for key in sorted(labels, key=int))
    about = _settings(repository, "preprocessor_config.json")
    several = config.get("problem_type") == "multi_label_classification"
    return Adoption(
        timm_name(config, str(repository)),
        findings,
        _prepared(about, int(config.get("image_size") or 224)),
        _card(repository, "sigmoid" if several else "softmax", ""),
        without=("mask_token", "pooler.*"),  # of pretraining; classifiers do not use them
    )


def _prepared(about: dict[str, Any], image_size: int) -> Preprocessing:
    """The preprocessing that a preprocessor_config.json describes."""
    size, crop = about.get("size", image_size), about.get("crop_size", 0)
    shortest = size.get("shortest_edge", 0) if isinstance(size, dict) else 0
    side = int(shortest or (size["height"] if isinstance(size, dict) else size))
    inner = int(crop["height"] if isinstance(crop, dict) else crop)
    cropped = bool(about.get("do_center_crop")) and 0 < inner < side
    return Preprocessing(
        inner if cropped else side,
        "crop" if shortest else "squash",
        crop_from=side if cropped else 0,
        source_size=None,
        mean=tuple(about.get("image_mean", IMAGENET_MEAN)),
        std=tuple(about.get("image_std", IMAGENET_STD)),
    )


def _card(repository: Repository, probabilities: str, licence: str) -> ModelCard:
    return ModelCard(
        name=str(repository),
        trained_on=f"what huggingface.co/{repository.repo} says",
        findings=(),
        views=("PA", "AP"),
        limits="Adopted from the hub, research only.",
        provenance={"source": f"huggingface.co/{repository.repo}"},
        probabilities=probabilities,
        licence=licence,
    )


def push(model: Model, repo: str, private: bool = True) -> str:
    """Write a model to a repository of the hub, which is made if it does not exist.

    Returns:
        The address of the commit.

    Raises:
        CxrlocError: huggingface_hub is not installed, the hub refuses, or the model is a user's own
            network, which no file holds.
    """
    from cxrloc.models.weights import write_model  # here, because `weights` reads from the hub

    hub: Any = import_extra("huggingface_hub", "hub")
    errors: Any = import_extra("huggingface_hub.errors", "hub")
    if model.config is None:
        raise CxrlocError(f"{model.card.name}: a network of your own code is in no model file")
    api = hub.HfApi()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(
            folder / WEIGHTS[0],
            model.network,  # type: ignore[arg-type]
            model.preprocessing,
            model.card,
            model.typical,
            half=False,
        )
        (folder / "README.md").write_text(hub_card(model, repo), encoding="utf-8")
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="cxrloc")
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
            raise CxrlocError(f"{PREFIX}{repo}: {one_line(str(error), 300)}") from error
    return str(commit.commit_url)


def hub_card(model: Model, repo: str) -> str:
    """The model's card in the hub's format: YAML between two lines of dashes, then Markdown."""
    fields = {
        "library_name": "cxrloc",
        "pipeline_tag": "image-classification",
        "tags": ["chest radiograph", "weakly supervised localization", "class activation map"],
        "license": model.card.licence.lower() or "unknown",
    }
    # JSON is YAML; one key in each line is how cards are written.
    head = "\n".join(f"{key}: {json.dumps(value)}" for key, value in fields.items())
    facts = card_lines(model.card, model.preprocessing, model.sha256, model.config)
    lines = [f"- **{name}**: {for_markdown(text)}" for name, text in facts]
    heading, *rows = finding_rows(model.card)
    table = [heading, ["---"] * len(heading), *rows]
    cells = "\n".join("| " + " | ".join(map(for_markdown, row)) + " |" for row in table)
    return "\n".join(
        (
            f"---\n{head}\n---\n\n# {for_markdown(model.card.name)}\n",
            "A classifier of chest radiographs with class activation maps. Research only: not for "
            "diagnosis.\n",
            *lines,
            f"\n{cells}\n",
            f"```sh\ncxrloc heatmap image.dcm --model {PREFIX}{repo}\n```\n",
        )
    )
