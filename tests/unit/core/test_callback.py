"""Where callbacks may go, and how they are signed."""

import base64
import hashlib
import hmac

import pytest
from pydantic import ValidationError

from taskrpc.core.callback import Target, may_be_called, networks, shown_secret, signature


@pytest.mark.parametrize("address", [
    "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
])  # fmt: skip
def test_what_is_reached_through_the_internet_may_be_called(address: str) -> None:
    assert may_be_called(address, ())


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::127.0.0.1",
    "64:ff9b::169.254.169.254", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "64:ff9b:1:a00:1::808:808", "192.0.0.192", "::ffff:192.0.0.192", "168.63.129.16", "fec0::1", "::7f00:1",
])  # fmt: skip
def test_what_is_not_may_not(address: str) -> None:
    assert not may_be_called(address, ())


def test_networks_may_be_allowed() -> None:
    allowed = networks(["10.1.0.0/16", "fd00::/8", "127.0.0.1"])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "127.0.0.1", "8.8.8.8"):
        assert may_be_called(address, allowed)
    for address in ("10.2.0.1", "fe80::1", "127.0.0.2"):
        assert not may_be_called(address, allowed)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "example.org", ""])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits"):
        networks([text])


def test_messages_are_signed_as_standard_webhooks_are() -> None:
    """The example of its specification."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected
    assert shown_secret(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = b"a.1." + body
    assert signature(b"x", "a", 1, body) == "v1," + base64.b64encode(hmac.digest(b"x", signed, hashlib.sha256)).decode()


@pytest.mark.parametrize("url", [
    "https://example.org", "http://example.org:8080/a?b=c", "http://10.0.0.1/", "http://[::1]:80/", "HTTPS://EXAMPLE.org",
])  # fmt: skip
def test_urls_that_can_be_called(url: str) -> None:
    assert Target(url=url, headers={"Authorization": "Bearer x", "X-Empty": ""}).url == url


@pytest.mark.parametrize("url", [
    "", "example.org", "ftp://example.org", "http://", "http:///path", "http://a b", "http://a\tb", "http://é.org",
    "http://u@example.org", "http://u:p@example.org", "http://example.org/#f", "http://example.org:0/",
    "http://example.org:99999", "http://[::1", "http://x/" + "y" * 2000, "http://x\x7f",
])  # fmt: skip
def test_urls_that_cannot(url: str) -> None:
    with pytest.raises(ValidationError):
        Target(url=url)


@pytest.mark.parametrize(("name", "value"), [
    ("Host", "x"), ("content-length", "1"), ("WEBHOOK-ID", "x"), ("a b", "x"), ("", "x"), ("a:", "x"), ("é", "x"),
    ("a", "x\r\ny: z"), ("a", " x"), ("a", "x "), ("a", "é"), ("a", "\0"), ("a", "x" * 5000),
])  # fmt: skip
def test_headers_that_cannot_be_sent(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Target(url="http://example.org", headers={name: value})
