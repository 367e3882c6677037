"""Destinations of DICOM objects: an application entity, or a DICOMweb server."""

import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cxrloc.errors import UsageError

TOKEN_VARIABLE = "CXRLOC_TOKEN"
"""Environment variable that holds the bearer token of a DICOMweb server."""


@dataclass(frozen=True, slots=True)
class ApplicationEntity:
    """A DICOM node that stores by C-STORE (PS3.7, section 9.1.1).

    Attributes:
        title: AE title, at most 16 characters (PS3.5, section 6.2).
        host: name or address.
        port: TCP port.
    """

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server that stores by STOW-RS (PS3.18, section 10.5).

    Attributes:
        url: the service's root, such as https://pacs.example/dicom-web.
    """

    url: str

    def __str__(self) -> str:
        return self.url


Destination = ApplicationEntity | WebServer


@dataclass(frozen=True, slots=True)
class Security:
    """The protection of a connection; with the default settings C-STORE is not encrypted.

    Attributes:
        tls: use TLS for C-STORE; an https URL always does.
        authority: certificates of the authorities that are trusted, as PEM; None for the system's.
        certificate: own certificate, as PEM, for servers that ask for one.
        key: private key of the certificate.
    """

    tls: bool = False
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def client_context(self) -> ssl.SSLContext:
        """TLS settings of a client (at least TLS 1.2; PS3.15, annex B.12).

        Raises:
            UsageError: a certificate or key cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=self.authority)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"TLS certificate or key cannot be used: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def parse_destination(text: str) -> Destination:
    """The destination that a user names as AE@HOST:PORT or as a URL.

    Raises:
        UsageError: the text is neither.

    >>> parse_destination("PACS@127.0.0.1:4242")
    ApplicationEntity(title='PACS', host='127.0.0.1', port=4242)
    >>> parse_destination("https://pacs.example/dicom-web/")
    WebServer(url='https://pacs.example/dicom-web')
    """
    if re.match(r"https?://[^/\s]+", text) and _has_port(text):
        return WebServer(text.rstrip("/"))
    found = re.fullmatch(r"([^@\\\s]{1,16})@\[?([^@\s]+?)\]?:(\d{1,5})", text)
    if found is None or not 0 < int(found[3]) < 65_536:
        raise UsageError(
            f"--to {text}: give AE@HOST:PORT (an AE title has at most 16 characters) or a URL such "
            "as https://pacs.example/dicom-web"
        )
    return ApplicationEntity(found[1], found[2], int(found[3]))


def _has_port(url: str) -> bool:
    """Whether the port of a URL is a port, or is left out."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def check_title(title: str, where: str) -> None:
    """Refuse what is no AE title (PS3.5, section 6.2).

    Raises:
        UsageError: the title is empty, longer than 16 characters, or has other characters.
    """
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", title) or not title.strip():
        raise UsageError(f"{where}: {title!r} is no AE title (at most 16 ASCII characters)")


def bearer_token() -> str | None:
    """The token for DICOMweb from the environment; None if there is none."""
    return os.environ.get(TOKEN_VARIABLE) or None
