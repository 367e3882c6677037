"""The settings of a node, read from a TOML file."""

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from cxrloc.errors import UsageError
from cxrloc.files.structured import read_toml
from cxrloc.pacs.destinations import Destination, check_title, parse_destination


@dataclass(frozen=True, slots=True)
class Receive:
    """`[receive]`: the C-STORE service.

    Attributes:
        ae_title: own AE title; senders that call another one are rejected.
        host: address to listen on.
        port: TCP port.
        allow: senders, each as AE@HOST; other senders are refused.
        max_associations: senders served at a time.
        max_connections: TCP connections held at a time, idle ones too.
        idle_seconds: a connection without a message is closed after this time.
        max_object_megabytes: a larger object is aborted while it is received.
        min_free_megabytes: with less free space every object is refused (A700).
        certificate: own certificate (PEM) for TLS.
        key: private key of the certificate.
        authority: certificates of trusted senders (PEM): then every sender must have one.
    """

    ae_title: str = "CXRLOC"
    host: str = "127.0.0.1"
    port: int = 11112
    allow: tuple[str, ...] = ()
    max_associations: int = 10
    max_connections: int = 50
    idle_seconds: float = 15.0
    max_object_megabytes: int = 200
    min_free_megabytes: int = 500
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """`[query]`: a DICOMweb server that is asked for new images (QIDO-RS, WADO-RS).

    Attributes:
        url: the service's root; empty for no such source.
        interval_seconds: between two queries.
        modalities: Modality (0008,0060) of the images.
        days: studies of the last days; 0 is today.
        max_images: fetched after one query.
    """

    url: str = ""
    interval_seconds: float = 60.0
    modalities: tuple[str, ...] = ("CR", "DX")
    days: int = 1
    max_images: int = 200


@dataclass(frozen=True, slots=True)
class Compute:
    """`[compute]`: which results are made of each image.

    Attributes:
        model: embedded names or model files; several make an ensemble.
        write: kinds of objects, as `cxrloc heatmap --write` names them.
        top: number of findings in the picture: those above their operating point first, then the
            most probable. Other objects hold the boxes of every finding above its operating point.
        below_operating_point: write boxes of findings below their operating point too.
        workers: processes, which share the cores.
        seconds_per_image: an image that takes longer fails.
        megabytes: memory that a process may map; 0 for no limit.
        tries: an image fails after its process has crashed this many times.
        study_rest_seconds: an image waits until no new image of its study came for this time.
    """

    model: tuple[str, ...] = ()
    write: tuple[str, ...] = ("sr", "sc")
    top: int = 3
    below_operating_point: bool = False
    workers: int = 1
    seconds_per_image: float = 120.0
    megabytes: int = 0
    tries: int = 3
    study_rest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Send:
    """`[send]`: the destinations of results.

    Attributes:
        to: destinations, each as AE@HOST:PORT or a URL.
        calling_title: own AE title as a sender; that of `[receive]` if empty.
        retry_seconds: time until the next try after a destination could not be reached.
        tls: use TLS for C-STORE.
        authority: trusted certificates (PEM).
        certificate: own certificate (PEM).
        key: private key of the certificate.
    """

    to: tuple[str, ...] = ()
    calling_title: str = ""
    retry_seconds: float = 30.0
    tls: bool = False
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """`[spool]`: the queue on disk.

    Attributes:
        folder: made if it is not there; relative to the settings' file.
        keep_days: days after which a done job is removed.
    """

    folder: Path = Path("spool")
    keep_days: float = 7.0


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """All settings of a node."""

    receive: Receive
    query: Query
    compute: Compute
    send: Send
    spool: Storage

    @property
    def destinations(self) -> list[Destination]:
        """The destinations of results."""
        return [parse_destination(text) for text in self.send.to]


_SECTIONS: dict[str, type] = {
    "receive": Receive,
    "query": Query,
    "compute": Compute,
    "send": Send,
    "spool": Storage,
}


def read_node_config(path: Path) -> NodeConfig:
    """The settings in a TOML file; a key that it leaves out has the default above.

    Raises:
        UsageError: a section or key does not exist, a value has the wrong type, is no AE title,
            port or file, no sender is allowed, or there is no destination.
    """
    entries = read_toml(path)
    if unknown := [name for name in entries if name not in _SECTIONS]:
        raise UsageError(f"{path}: no section [{unknown[0]}]: there are {', '.join(_SECTIONS)}")
    sections = {
        name: _section(path, name, kind, entries.get(name, {})) for name, kind in _SECTIONS.items()
    }
    config = NodeConfig(**sections)
    if not config.receive.allow and not config.query.url:
        raise UsageError(
            f"{path}: nobody may send images: name senders as AE@HOST in [receive] allow, or a "
            "server in [query] url"
        )
    for sender in config.receive.allow:
        title, at, host = sender.rpartition("@")
        if not at or not host:
            raise UsageError(f"{path}: [receive] allow: {sender!r} is not AE@HOST")
        check_title(title, f"{path}: [receive] allow")
    check_title(config.receive.ae_title, f"{path}: [receive] ae_title")
    check_title(config.send.calling_title or config.receive.ae_title, f"{path}: [send]")
    if config.receive.port > 65_535:
        raise UsageError(f"{path}: [receive] port: {config.receive.port} is no TCP port")
    for name, section in (("receive", config.receive), ("send", config.send)):
        for key in ("certificate", "key", "authority"):
            file = getattr(section, key)
            if file is not None and not file.is_file():
                raise UsageError(f"{path}: [{name}] {key}: {file}: no such file")
    if not config.destinations:
        raise UsageError(f"{path}: results go nowhere: name destinations in [send] to")
    return config


def _section(path: Path, name: str, kind: type, entries: Any) -> Any:
    if not isinstance(entries, dict):
        raise UsageError(f"{path}: [{name}] must be a section")
    assert is_dataclass(kind)
    known = {field.name: field for field in fields(kind)}
    if unknown := [key for key in entries if key not in known]:
        raise UsageError(f"{path}: [{name}] has no key {unknown[0]}: there are {', '.join(known)}")
    default = kind()
    own_paths = {k: str(v) for k in known if isinstance(v := getattr(default, k), Path)}
    entries = own_paths | entries  # default paths too are relative to the file
    return kind(
        **{
            key: _value(path, f"[{name}] {key}", known[key].type, getattr(default, key), value)
            for key, value in entries.items()
        }
    )


def _value(path: Path, key: str, hint: Any, default: Any, value: Any) -> Any:
    """A value, checked to have the type of the key's default; paths are relative to the file."""
    if "Path" in str(hint) and isinstance(value, str):
        return path.parent / value
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        raise UsageError(f"{path}: {key} must be a list of texts")
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise UsageError(f"{path}: {key} must be of type {type(default).__name__}, not {value!r}")
    if isinstance(value, int | float) and value < 0:
        raise UsageError(f"{path}: {key} must not be negative")
    return value


def allowed_senders(receive: Receive) -> set[tuple[str, str]]:
    """AE title and host of each sender."""
    pairs = (sender.rsplit("@", 1) for sender in receive.allow)
    return {(title, host) for title, host in pairs}
