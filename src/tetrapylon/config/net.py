"""Names of the network as a config writes them: addresses, hosts, methods and header fields (leaf)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from msgspec import Meta

from tetrapylon.config.units import Scalar

__all__ = [
    "METHODS",
    "Address",
    "BalanceKey",
    "CheckPath",
    "Cidr",
    "CollectorUrl",
    "CookieName",
    "HeaderName",
    "HeaderValue",
    "HostPattern",
    "HostPort",
    "Line",
    "LogPath",
    "MediaType",
    "Method",
    "PartName",
    "ServerName",
    "TargetUrl",
    "UnixPath",
    "UpstreamHost",
    "listen_address",
    "listener_keys",
    "syslog_address",
    "target_address",
]


class HostPort(NamedTuple):
    """A TCP address; `host` is a name or an IP address, an IPv6 one without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixPath(NamedTuple):
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


# sockaddr_un.sun_path holds 108 bytes, its terminating NUL included (unix(7)).
LONGEST_UNIX_PATH = 107
LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
HOST_NAME = re.compile(rf"(?=.{{1,253}}\.?$){LABEL}(?:\.{LABEL})*\.?")
AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?")
WILDCARD = re.compile(rf"\*\.{LABEL}(?:\.{LABEL})*")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What llhttp parses: a route for anything else could never match.
KNOWN = (
    "DELETE GET HEAD POST PUT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND"
    " REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE"
    " MKCALENDAR LINK UNLINK SOURCE QUERY"
)
METHODS = frozenset(KNOWN.split())


def _unix_path(path: str) -> UnixPath:
    if not path.startswith("/"):
        raise ValueError(f"the Unix socket path {path!r} is not absolute; expected unix:/PATH")
    if len(path.encode()) > LONGEST_UNIX_PATH:
        raise ValueError(f"a Unix socket path holds at most {LONGEST_UNIX_PATH} bytes; shorten {path!r}")
    if "\0" in path or path.endswith("/"):
        raise ValueError(f"{path!r} is not the path of a socket; expected unix:/PATH")
    return UnixPath(path)


def _host(text: str) -> str:
    """A host name or IP address, brackets around IPv6 removed."""
    from ipaddress import AddressValueError, IPv4Address, IPv6Address

    try:
        if text.startswith("[") and text.endswith("]"):
            return str(IPv6Address(text[1:-1]))
        if text.replace(".", "").isdigit():
            return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"{text!r} is not an IP address; expected a.b.c.d or [IPv6]") from None
    if HOST_NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a host name; expected a name, an IPv4 address or an [IPv6] one")
    return text.lower()


def _port(text: str, lowest: int) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if not lowest <= port <= 65535:
        raise ValueError(f"{text!r} is not a port; expected a number from {lowest} to 65535")
    return port


def listener_keys(addresses: Iterable[str]) -> list[str]:
    """What tells listeners apart: their addresses, and where port 0 is asked for more than once, a number."""
    seen: dict[str, int] = {}
    keys = []
    for address in addresses:
        seen[address] = count = seen.get(address, 0) + 1
        keys.append(address if count == 1 else f"{address}#{count}")
    return keys


def listen_address(text: str) -> HostPort | UnixPath:
    """Where to listen: `host:port`, `[IPv6]:port` or `unix:/path`; port 0 lets the system choose.

    Raises ValueError.
    """
    if text.startswith("unix:"):
        return _unix_path(text[5:])
    if "://" in text:
        raise ValueError(f"{text!r} is a URL; expected host:port or unix:/PATH")
    host, colon, port = text.rpartition(":")
    if not colon:
        if text.isascii() and text.isdigit():
            raise ValueError(f"{text!r} lacks a host; did you mean 127.0.0.1:{text}?")
        raise ValueError(f"{text!r} lacks a port; expected host:port or unix:/PATH")
    if host in ("", "*"):
        raise ValueError(
            f"{text!r} names no host; write 127.0.0.1:{port} for this machine alone, 0.0.0.0:{port} for all"
        )
    if ":" in host and not host.startswith("["):
        raise ValueError(f"{text!r} is ambiguous; an IPv6 address goes in brackets: [::1]:8080")
    return HostPort(_host(host), _port(port, 0))


def target_address(url: str) -> HostPort | UnixPath:
    """Where a target answers: `http://host:port` (80 if left out), `https://host:port` (443) or `unix:/path`.

    Raises ValueError.
    """
    if url.startswith("unix:"):
        return _unix_path(url[5:])
    if "://" not in url:
        raise ValueError(f"{url!r} is not a URL; did you mean http://{url}?")
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}; expected http://HOST:PORT or unix:/PATH") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme {parts.scheme!r} is unknown; expected http://HOST:PORT or unix:/PATH")
    if "@" in parts.netloc:
        raise ValueError("a target carries no user name or password; send an Authorization header instead")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f"{url!r} has more than host and port; leave the rest out, and see `rewrite` of a route"
        )
    match = AUTHORITY.fullmatch(parts.netloc)
    if match is None or not match[1]:
        raise ValueError(f"{url!r} names no host; expected http://HOST:PORT or unix:/PATH")
    usual = 443 if parts.scheme == "https" else 80
    return HostPort(_host(match[1]), usual if match[2] is None else _port(match[2], 1))


def _address(text: str) -> str:
    return str(listen_address(text))


def _target_url(url: str) -> str:
    address = target_address(url)
    return str(address) if isinstance(address, UnixPath) else f"{url.partition(':')[0].lower()}://{address}"


def syslog_address(text: str) -> tuple[str, int] | str | None:
    """Where `syslog:...` leads: (host, port), the path of a socket, or None for what is no syslog.

    Raises ValueError.
    """
    if not text.startswith("syslog:"):
        return None
    where = text.removeprefix("syslog:")
    if not where or where.startswith("/"):
        return _unix_path(where or "/dev/log").path
    found = listen_address(where)
    assert isinstance(found, HostPort)
    return found.host, _port(str(found.port), 1)


def _log_path(text: str) -> str:
    if not text:
        raise ValueError("the path is empty; expected a file, `-` or syslog:")
    if text.startswith("syslog") and not text.startswith("syslog:"):
        raise ValueError(f"{text!r} is ambiguous; write syslog: for syslog, ./{text} for a file")
    if any(c < " " or c == "\x7f" for c in text):
        raise ValueError(f"{text!r} holds control characters; expected a path such as /var/log/access.log")
    if text.endswith("/"):
        raise ValueError(f"{text!r} is not the path of a file; expected one such as /var/log/access.log")
    syslog_address(text)
    return text


def _server_name(text: str) -> str:
    if ":" in text and not text.startswith("["):
        raise ValueError(f"{text!r} names a port; expected the host alone")
    return _host(text)


def _upstream_host(text: str) -> str:
    if text in ("preserve", "target"):
        return text
    host, colon, port = text.rpartition(":")
    if colon and not text.endswith("]"):
        return str(HostPort(_host(host), _port(port, 1)))
    _host(text)
    return text


def _host_pattern(text: str) -> str:
    if WILDCARD.fullmatch(text) is not None:
        return text.lower()
    if "*" in text:
        raise ValueError(
            f"{text!r} is not a host pattern; `*` stands for one whole first label, as in *.example.com"
        )
    if "://" in text:
        raise ValueError(f"{text!r} is a URL; a route matches the host alone, such as api.example.com")
    if ":" in text and not text.endswith("]"):
        raise ValueError(f"{text!r} names a port; a route matches the host alone")
    _host(text)
    return text.lower().removesuffix(".")


def _method(text: str) -> str:
    if text in METHODS:
        return text
    if text.upper() in METHODS:
        raise ValueError(f"methods are written in capitals; did you mean {text.upper()}?")
    if text.upper() == "CONNECT":
        raise ValueError("a gateway's route cannot match CONNECT; leave it out")
    from difflib import get_close_matches

    close = get_close_matches(text.upper(), METHODS, 1)
    hint = f"did you mean {close[0]}?" if close else "expected one such as GET, POST, PUT, PATCH or DELETE"
    raise ValueError(f"{text!r} is no method that HTTP parsers know; {hint}")


def _cidr(text: str) -> str:
    from ipaddress import ip_network

    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a network; expected a CIDR such as 10.0.0.0/8 or fd00::/8"
        ) from None
    raise ValueError(f"{text!r} has bits set beyond its prefix; did you mean {network}?")


def _header_name(text: str) -> str:
    if TOKEN.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} is not a header name; expected a token (RFC 9110, 5.6.2), such as X-Tenant"
        )
    return text


def _header_value(text: str) -> str:
    if any((char < " " and char != "\t") or char == "\x7f" for char in text):
        raise ValueError(
            "a header value holds no control characters (RFC 9110, 5.5); expected text on one line"
        )
    if not text.isascii() and max(text) > "\xff":
        raise ValueError("a header value is Latin-1 text (RFC 9110, 5.5); encode what is beyond it")
    if text != text.strip(" \t"):
        raise ValueError("a header value neither begins nor ends with blanks (RFC 9110, 5.5); leave them out")
    return text


def _line(text: str) -> str:
    """What is shown to people, in logs, metrics and challenges."""
    if not text or any(char < " " or "\x7f" <= char <= "\x9f" for char in text):
        raise ValueError(f"{text!r} is empty or holds control characters; expected text on one line")
    return text


MEDIA_TYPE = re.compile(rf"({TOKEN.pattern})/({TOKEN.pattern})")


def _collector_url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}; expected http://HOST:PORT/PATH") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is not the URL of a collector; expected http://HOST:4318/v1/traces")
    if "@" in parts.netloc:
        raise ValueError("a collector's URL carries no user name or password; expected them in `headers`")
    _host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    return text


def _media_type(text: str) -> str:
    if ";" in text:
        raise ValueError(f"{text!r} has parameters; expected the type alone, such as text/html")
    if MEDIA_TYPE.fullmatch(text) is None or "*" in text:
        raise ValueError(f"{text!r} is not a media type; expected one such as text/html")
    return text.lower()


def _scalar(name: str, parse: object, example: str) -> Meta:
    return Meta(extra={"scalar": Scalar(name, parse, str, example)})  # type: ignore[arg-type]


def _etcd_url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}; expected http://HOST:2379") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is not the URL of an etcd member; expected http://HOST:2379")
    if "@" in parts.netloc:
        raise ValueError("an etcd URL carries no user name or password; give them as `user` and `password`")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} has a path; expected the member alone, http://HOST:2379")
    _host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    return text.rstrip("/")


DNS_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def _dns_name(text: str) -> str:
    name = text.removesuffix(".")
    if not name or len(name) > 253 or any(DNS_LABEL.fullmatch(label) is None for label in name.split(".")):
        raise ValueError(f"{text!r} is not a DNS name (RFC 1035, 2.3.1); expected one such as users.internal")
    return name


def _dns_server(text: str) -> str:
    from ipaddress import ip_address

    host, colon, port = text.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):
        host, port = text, "53"
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(
            f"{text!r} is not the address of a resolver; expected one such as 10.0.0.2"
        ) from None
    return str(HostPort(f"[{address}]" if address.version == 6 else str(address), _port(port, 1)))


def _balance_key(text: str) -> str:
    kind, _, name = text.partition(":")
    if text in ("client", "path"):
        return text
    if kind not in ("header", "cookie", "query") or not name:
        raise ValueError(f"{text!r} is no key; expected client, path, header:NAME, cookie:NAME or query:NAME")
    if TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not the name of a {kind}; expected letters, digits and dashes")
    return text


def _cookie_name(text: str) -> str:
    if TOKEN.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a cookie name (RFC 6265, 4.1.1); expected letters and dashes")
    return text


PART_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _part_name(text: str) -> str:
    if PART_NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no name of a part; expected letters, digits and underscores")
    return text


def _check_path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is not a path; expected one that begins with /")
    if not text.isascii() or any(c <= " " or c in "#\x7f" for c in text):
        raise ValueError(f"{text!r} holds what no path may (RFC 3986, 3.3); write it percent-encoded")
    return text


Address = Annotated[str, _scalar("a listen address", _address, "127.0.0.1:8080")]
BalanceKey = Annotated[str, _scalar("a key", _balance_key, "header:X-User")]
CheckPath = Annotated[str, _scalar("a path", _check_path, "/healthz")]
CookieName = Annotated[str, _scalar("a cookie name", _cookie_name, "target")]
Cidr = Annotated[str, _scalar("a network", _cidr, "10.0.0.0/8")]
DnsName = Annotated[str, _scalar("a DNS name", _dns_name, "users.internal")]
DnsServer = Annotated[str, _scalar("a resolver", _dns_server, "10.0.0.2:53")]
CollectorUrl = Annotated[str, _scalar("a URL", _collector_url, "http://127.0.0.1:4318/v1/traces")]
EtcdUrl = Annotated[str, _scalar("a URL", _etcd_url, "http://127.0.0.1:2379")]
HeaderName = Annotated[str, _scalar("a header name", _header_name, "X-Tenant")]
HeaderValue = Annotated[str, _scalar("a header value", _header_value, "acme")]
HostPattern = Annotated[str, _scalar("a host", _host_pattern, "*.example.com")]
Line = Annotated[str, _scalar("text", _line, "shop")]
LogPath = Annotated[str, _scalar("a log", _log_path, "access.log")]
MediaType = Annotated[str, _scalar("a media type", _media_type, "text/html")]
Method = Annotated[str, _scalar("a method", _method, "GET")]
PartName = Annotated[str, _scalar("a part's name", _part_name, "user")]
TargetUrl = Annotated[str, _scalar("a target", _target_url, "http://127.0.0.1:9000")]
ServerName = Annotated[str, _scalar("a host", _server_name, "users.example.com")]
UpstreamHost = Annotated[str, _scalar("a host", _upstream_host, "preserve")]
