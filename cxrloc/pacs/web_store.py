"""Stores objects on a DICOMweb server by STOW-RS (PS3.18, section 10.5)."""

import logging
from contextlib import suppress
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmwrite

from cxrloc.extras import import_extra
from cxrloc.pacs.destinations import TOKEN_VARIABLE, Security, WebServer, bearer_token
from cxrloc.pacs.judged import SUCCESS, BusyError, NoConnectionError, RefusedError, Store, judged

CONFLICT = 409
OBJECT_REFUSED = (400, CONFLICT, 413, 415)
"""HTTP statuses that blame the object. After any other status a later try may succeed, for example
when the token is renewed, the server has started again or the address is corrected."""

NO_ANSWER = "the answer does not name the object; is this the URL of a DICOMweb service?"


def web_store(server: WebServer, security: Security, timeout_seconds: float) -> Store:
    """A function that stores by STOW-RS: one object per request, so that each gets an answer."""
    import_extra("dicomweb_client", "pacs")
    import requests
    from dicomweb_client.api import DICOMwebClient
    from dicomweb_client.session_utils import create_session

    # The client's log is turned down, because it quotes requests with identifiers of patients.
    logging.getLogger("dicomweb_client").setLevel(logging.ERROR)
    session = create_session()
    session.verify = str(security.authority) if security.authority else True
    if security.certificate is not None:
        session.cert = (str(security.certificate), str(security.key or security.certificate))
    if token := bearer_token():
        session.headers["Authorization"] = f"Bearer {token}"
    client = DICOMwebClient(server.url, session=session, timeout=timeout_seconds)
    client.set_http_retry_params(retry=False)  # retries are those of `send`

    def plain_type(response: requests.Response, *about: object, **more: object) -> None:
        # The client reads an answer only if its type has no parameter such as charset.
        content_type = response.headers.get("Content-Type", "")
        response.headers["Content-Type"] = content_type.split(";")[0].strip()

    session.hooks["response"].append(plain_type)

    def store(dataset: Dataset) -> str:
        try:
            answer = client.store_instances([dataset])
        except requests.HTTPError as error:
            answer = _answer_of_error(server, error.response)
        except requests.exceptions.SSLError as error:
            raise NoConnectionError(f"{server}: TLS failed; is the certificate trusted?") from error
        except (ValueError, SyntaxError) as error:  # a page that is no JSON or XML
            _check_encoding(server, dataset)
            raise BusyError(f"{server}: {NO_ANSWER}") from error
        except (requests.RequestException, OSError) as error:
            kind = NoConnectionError if _made_no_connection(error) else BusyError
            raise kind(f"{server}: {type(error).__name__}, not reached") from error
        except Exception:
            _check_encoding(server, dataset)
            raise
        return _judged_answer(server, str(dataset.SOPInstanceUID), answer)

    return store


def _made_no_connection(error: Exception) -> bool:
    """Whether there was no connection at all, and not one that was lost on the way."""
    import requests
    from urllib3.exceptions import NewConnectionError

    cause = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(cause, NewConnectionError)


def _check_encoding(server: WebServer, dataset: Dataset) -> None:
    """Refuse an object that cannot be encoded; the client's error may look like a wrong answer.

    This encodes the object once more, so it is called after an error only.

    Raises:
        RefusedError: it cannot be encoded.
    """
    try:
        dcmwrite(BytesIO(), dataset)
    except Exception as error:  # pydicom's errors are of many classes
        raise RefusedError(f"{server}: the object cannot be encoded ({error})") from error


def _answer_of_error(server: WebServer, response: Any) -> Dataset:
    """What the server says of each object in an answer with an HTTP error.

    Raises:
        RefusedError: it says nothing, and the status tells that the object is the reason.
        BusyError: it says nothing; the server, its address or the token is the reason.
    """
    code = response.status_code
    if code == CONFLICT:
        with suppress(Exception):  # the body is optional
            return Dataset.from_json(response.json())
    message = f"{server}: HTTP status {code}"
    if code in OBJECT_REFUSED:
        raise RefusedError(f"{message}, refused")
    if code in (401, 403):
        raise NoConnectionError(f"{message}; is the token in {TOKEN_VARIABLE} right?")
    raise BusyError(message)


def _judged_answer(server: WebServer, uid: str, answer: Dataset) -> str:
    """The warning for an object in an answer to STOW-RS (PS3.18, annex I.2), or an error.

    An object is stored only if the answer says so, since a page of a proxy may have status 200.
    """
    for item in answer.get("FailedSOPSequence") or ():
        return judged(server, int(item.get("FailureReason") or 0x0110))
    for item in answer.get("ReferencedSOPSequence") or ():
        if str(item.get("ReferencedSOPInstanceUID")) == uid:
            return judged(server, int(item.get("WarningReason") or SUCCESS))
    raise BusyError(f"{server}: {NO_ANSWER}")
