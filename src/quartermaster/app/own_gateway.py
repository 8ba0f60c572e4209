"""The way from this machine to its own gateway, with TLS where the gateway speaks it."""

import http.client
import ssl

from quartermaster.gateway.settings import GatewaySettings


def connect(gateway: GatewaySettings, *, timeout_s: float) -> http.client.HTTPConnection:
    """A connection, opened by its first request.

    Over TLS exactly the certificate of the settings is trusted, under whatever name it stands: we
    call by address, and a certificate for a public name or a self-signed one is right here.
    """
    if not gateway.tls_certificate:
        return http.client.HTTPConnection(gateway.host, gateway.port, timeout=timeout_s)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(gateway.tls_certificate)
    return http.client.HTTPSConnection(
        gateway.host, gateway.port, timeout=timeout_s, context=context
    )


def base_url(gateway: GatewaySettings) -> str:
    """What an SDK on this machine is given."""
    scheme = "https" if gateway.tls_certificate else "http"
    return f"{scheme}://{gateway.host}:{gateway.port}/v1"
