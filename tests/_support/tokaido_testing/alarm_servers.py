"""Servers that alarms are told to: a web server and a mail server on the loopback interface, as real as is needed."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tokaido_testing.ports import free_port


def certificate(folder: Path, host: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for a host, signed by itself; return its file and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names[: 2 if host == "localhost" else 1]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{host}.pem", folder / f"{host}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class WebServer:
    """Takes posts, and answers with `status`; drips its answer for ever if `drips`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.drips = False
        self.gone = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((self.path, dict(self.headers), json.loads(body)))
                while outer.drips and not outer.gone.wait(0.02):
                    self.wfile.write(b"H")
                self.send_response(outer.status)
                if outer.status == 307:
                    self.send_header("Location", "http://192.0.2.1/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing."""

        self.port = free_port()
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)


class MailServer:
    """Takes mails over TLS, from the first byte on or after STARTTLS; nothing is said in the clear but EHLO."""

    def __init__(self, context: ssl.SSLContext, *, implicit: bool, password: str = "") -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.clear: list[str] = []
        """Lines that came in the clear."""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.secure = False
                if implicit:
                    self._wrap()
                else:
                    self._file = self.request.makefile("rb")
                self._say("220 here")
                sender, to, known = "", list[str](), False
                while line := self._file.readline().decode().strip():
                    if not self.secure:
                        outer.clear.append(line)
                    verb, _, rest = line.partition(" ")
                    match verb.upper():
                        case "EHLO":
                            offers = ["250-here", "250-AUTH PLAIN"] if self.secure else ["250-here", "250-STARTTLS"]
                            self._say(*offers, "250 8BITMIME")
                        case "STARTTLS":
                            self._say("220 go on")
                            self._wrap()
                        case "AUTH":
                            said = base64.b64decode(rest.split()[1]).decode().split("\0")
                            known = said[1:] == ["station", password]
                            self._say("235 welcome" if known else f"535 not {said[2]}")
                        case "MAIL":
                            sender = rest
                            self._say("250 yes" if known or not password else "530 who are you")
                        case "RCPT":
                            to.append(rest)
                            self._say("550 unknown" if "nobody" in rest else "250 yes")
                        case "DATA":
                            self._say("354 go on")
                            text = b""
                            while (part := self._file.readline()) not in (b".\r\n", b""):
                                text += part
                            outer.mails.append((sender, to, text.decode()))
                            self._say("250 taken")
                        case "QUIT":
                            self._say("221 bye")
                            return
                        case _:
                            self._say("250 yes")

            def finish(self) -> None:
                self._file.close()
                self.request.close()  # the server closes but the socket that was wrapped

            def _wrap(self) -> None:
                self.request = context.wrap_socket(self.request, server_side=True)
                self._file = self.request.makefile("rb")
                self.secure = True

            def _say(self, *lines: str) -> None:
                self.request.sendall("".join(f"{line}\r\n" for line in lines).encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Print nothing when a client goes away, as it does where a certificate is wrong."""

        self.port = free_port()
        self.server = Server(("127.0.0.1", self.port), Handler)
