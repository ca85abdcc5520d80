"""HTTP message signatures (RFC 9421): the signature base of a request, and the two headers. Functions of values.

May import: our messages. Invariants: no component of a request can begin a line of the base but its own; what is not
supported, missing, ambiguous or there twice is refused, never left out.

Supported: the derived components of section 2.2 but `@status`, and fields without parameters. A field's values are
printable ASCII; obsolete line folding is refused.
"""

from __future__ import annotations

import base64
import re
import urllib.parse
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from trollbridge.messages.errors import InvalidArguments
from trollbridge.messages.vault_secrets import HttpSignature

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.vault_secrets import HttpRequest

MOST_COMPONENTS: Final = 64
MOST_HEADERS: Final = 256
LATEST: Final = 10**15
"""No integer of a structured field reaches it (RFC 9651, section 3.3.1)."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, section 5.6.2
_VALUE: Final = re.compile(r"[\t -~]*", re.ASCII)
_LABEL: Final = re.compile(r"[a-z*][a-z0-9_.*-]*", re.ASCII)  # a key of a structured field
_PARAMETER: Final = re.compile(r"[ -~]*", re.ASCII)
_QUERY_PARAM: Final = re.compile(r'@query-param;name="([!#-\[\]-~]*)"', re.ASCII)
_TARGET: Final = re.compile(
    r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]+)(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<path>/[!-\"$->@-~]*)?(?P<query>\?[!-\"$-~]*)?",
    re.ASCII,
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_PORT: Final = 65535


def _refuse(why: str) -> NoReturn:
    msg = f"This request cannot be signed: {why}."
    raise InvalidArguments(msg)


class _Target(NamedTuple):
    """An absolute URI, in parts."""

    whole: str
    scheme: str
    authority: str
    path: str
    query: str


def _target(uri: str) -> _Target:
    """Take a target apart; the authority in lower case, without its scheme's own port (RFC 9110, section 4.2.3)."""
    found = _TARGET.fullmatch(uri)
    if not found:
        _refuse("its target is no absolute http or https URI, or has a user's name or a fragment")
    scheme, authority = found["scheme"].lower(), found["host"].lower()
    if found["port"]:
        port = int(found["port"])
        if port > _LARGEST_PORT:
            _refuse("its target has no such port")
        authority += "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return _Target(uri, scheme, authority, found["path"] or "/", found["query"] or "")


_DERIVED: Final[dict[str, Callable[[str, _Target], str]]] = {
    "@method": lambda method, _: method,
    "@target-uri": lambda _, target: target.whole,
    "@authority": lambda _, target: target.authority,
    "@scheme": lambda _, target: target.scheme,
    "@request-target": lambda _, target: target.path + target.query,
    "@path": lambda _, target: target.path,
    "@query": lambda _, target: target.query or "?",
}


def _form_decoded(text: str) -> str:
    try:
        return urllib.parse.unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        _refuse("a parameter of its query is not UTF-8")


def _form_encoded(text: str) -> str:
    """Return `text` under the URL standard's form percent-encoding, a space as `%20` (section 2.2.8)."""
    return urllib.parse.quote(text, safe="*").replace("~", "%7E")


def _query_param(name: str, target: _Target) -> str:
    wanted = _form_decoded(name.replace("+", "%2B"))
    if _form_encoded(wanted) != name:
        _refuse("the name of a parameter of its query is not in its encoded form")
    pairs = (each.partition("=") for each in target.query[1:].split("&") if each)
    values = [value for key, _, value in pairs if _form_decoded(key) == wanted]
    if len(values) != 1:
        _refuse("a parameter of its query is missing, or is there more than once")
    return _form_encoded(_form_decoded(values[0]))


def _fields(request: HttpRequest) -> dict[str, str]:
    """Return the headers by lower-case name: trimmed, and those of one name joined (section 2.1)."""
    if len(request.headers) > MOST_HEADERS:
        _refuse(f"it has more than {MOST_HEADERS} headers")
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            _refuse("the name or value of a header has characters that are not allowed")
        found.setdefault(name.lower(), []).append(value.strip(" \t"))
    return {name: ", ".join(values) for name, values in found.items()}


def _component(component: str, request: HttpRequest, target: _Target, fields: dict[str, str]) -> tuple[str, str]:
    """Return a component's identifier as the base has it, and its value."""
    derived = _DERIVED.get(component)
    if derived is not None:
        return f'"{component}"', derived(request.method, target)
    parameter = _QUERY_PARAM.fullmatch(component)
    if parameter:
        return f'"@query-param";name="{parameter[1]}"', _query_param(parameter[1], target)
    if not _TOKEN.fullmatch(component) or component != component.lower():
        _refuse("a component to be covered is not known here")
    if component not in fields:
        _refuse(f"a header to be covered is missing: {component}")
    return f'"{component}"', fields[component]


def _string(text: str) -> str:
    if not _PARAMETER.fullmatch(text):
        _refuse("a parameter of the signature has characters that are not allowed")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _parameters(request: HttpRequest) -> str:
    parts: list[str] = []
    for name, number in (("created", request.created), ("expires", request.expires)):
        if number is not None:
            if not 0 <= number < LATEST:
                _refuse("a time is not in seconds since 1970")
            parts.append(f";{name}={number}")
    for name, text in (("keyid", request.keyid), ("nonce", request.nonce), ("tag", request.tag)):
        if text is not None:
            parts.append(f";{name}={_string(text)}")
    return "".join(parts)


class Base(NamedTuple):
    """What is to be signed, and what the signature's headers say about it."""

    octets: bytes
    label: str
    parameters: str

    def headers(self, signature: bytes) -> HttpSignature:
        """Return the values of `Signature-Input` and `Signature`."""
        encoded = base64.b64encode(signature).decode()
        return HttpSignature(f"{self.label}={self.parameters}", f"{self.label}=:{encoded}:")


def base(request: HttpRequest) -> Base:
    """Return the signature base of a request (section 2.5); raises `InvalidArguments`.

    At least one component is covered: a signature of nothing would fit every request.
    """
    if not _TOKEN.fullmatch(request.method):
        _refuse("its method has characters that are not allowed")
    if not _LABEL.fullmatch(request.label):
        _refuse("the signature's label has characters that are not allowed")
    if not 0 < len(request.components) <= MOST_COMPONENTS:
        _refuse(f"1 to {MOST_COMPONENTS} components are to be covered")
    target, fields = _target(request.target), _fields(request)
    pairs = [_component(each, request, target, fields) for each in request.components]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        _refuse("a component is covered twice")
    parameters = f"({' '.join(names)}){_parameters(request)}"
    lines = [*(f"{name}: {value}" for name, value in pairs), f'"@signature-params": {parameters}']
    return Base("\n".join(lines).encode("ascii"), request.label, parameters)
