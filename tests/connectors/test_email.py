"""Mails: who gets them, what a mail server's code means, and that nothing breaks out of a header (D-94, G24)."""

from collections.abc import Sequence
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Response
from connectors.email import EmailConnector
from connectors.testing import ConnectorContract
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from tests.connectors.crms import ANN, metadata
from tests.connectors.fakes import NOW, settings

MAIL = EmailConnector(settings("email", sender="Renkei <renkei@example.com>"), metadata("zoho"))


def mail(**fields: object) -> Command:
    told = {
        "to": ["team:Sales", "ann@example.com", "x@y.example"],
        "subject": "Won: ＡＣＭＥ",
        "body": "Hello\n.\nbye",
        **fields,
    }
    return Command(id="c1", connection="mail", tab="mail:messages", operation="email", fields=told, planned_at=NOW)


class TestEmailContract(ConnectorContract):
    connector = MAIL
    commands = (mail(),)
    overloaded = (421, 450, 451)
    broken = (0, 999)
    reads_bodies = False

    def answered(self, commands: Sequence[Command]) -> Response:
        return Response(status=250, body=b"0")


def test_each_recipient_gets_one_mail_with_an_id_of_the_command() -> None:
    request = MAIL.request([mail(html="<p>Hello</p>")])
    assert request.headers == {"from": "renkei@example.com", "to": "ann@example.com,x@y.example"}
    found = message_from_bytes(request.body or b"", policy=default)
    assert found["Subject"] == "Won: ＡＣＭＥ"
    assert found["Message-ID"] == "<c1@example.com>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("html", [False, None, "", " "])
def test_a_mail_without_html_is_plain(html: object) -> None:
    found = message_from_bytes(MAIL.request([mail(html=html)]).body or b"", policy=default)
    assert found.get_content_type() == "text/plain"


def test_a_body_that_is_html_is_sent_as_html() -> None:
    found = message_from_bytes(MAIL.request([mail(body="<p>Hello</p>", html=True)]).body or b"", policy=default)
    assert (found.get_content_type(), found.get_content().strip()) == ("text/html", "<p>Hello</p>")


@pytest.mark.parametrize(
    ("to", "address"),
    [(ANN, "ann@example.com"), (f"user:{ANN}", "ann@example.com"), (f"manager:{ANN}", "bob@example.com"),
     ("manager:ann@example.com", "bob@example.com"), ("manager:Gone Away", "ann@example.com")],
)  # fmt: skip
def test_a_mail_goes_to_a_user_or_to_the_manager_of_one(to: str, address: str) -> None:
    one = mail(to=[to])
    assert MAIL.refuse(one) is None
    assert MAIL.request([one]).headers["to"] == address


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": []}, "recipient_unknown"),
        ({"to": "team:Nobody"}, "recipient_unknown"),
        ({"to": "user:gone@example.com"}, "recipient_inactive"),
        ({"to": "user:who"}, "recipient_unknown"),
        ({"to": "who"}, "recipient_unknown"),
        ({"to": "manager:lost"}, "recipient_inactive"),
        ({"to": "manager:bob"}, "recipient_unknown"),
        ({"to": "manager:who"}, "recipient_unknown"),
        ({"to": "a@b.example\nBcc: c@d.example"}, "bad_address"),
        ({"to": "a@b.example,c@d.example"}, "bad_address"),
        ({"subject": "Hi\r\nBcc: c@d.example"}, "bad_header"),
        ({"reply_to": "a@b.example\nX: y"}, "bad_header"),
    ],
)
def test_a_mail_that_cannot_or_must_not_go_out_is_refused(fields: dict[str, object], code: str) -> None:
    refused = MAIL.refuse(mail(**fields))
    assert refused is not None
    assert refused.code == code


@given(subject=st.text(max_size=60), body=st.text(max_size=60))
def test_no_text_adds_a_header(subject: str, body: str) -> None:
    one = mail(subject=subject, body=body, to="x@y.example")
    if MAIL.refuse(one) is None:
        found = message_from_bytes(MAIL.request([one]).body or b"", policy=default)
        known = {
            "from",
            "to",
            "subject",
            "date",
            "message-id",
            "auto-submitted",
            "content-type",
            "mime-version",
        }
        assert {name.lower() for name in found} <= {*known, "content-transfer-encoding"}


@given(address=st.one_of(st.text(max_size=20), st.emails(), st.from_regex(r"[!-~]{1,9}@[!-~]{1,9}", fullmatch=True)))
def test_an_address_is_refused_or_can_be_sent_to(address: str) -> None:
    one = mail(to=[address])
    if "@" in address and MAIL.refuse(one) is None:
        assert MAIL.request([one]).headers["to"] == address
        assert address.isascii()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (250, Applied),
        (251, Applied),
        (421, RetryLater),
        (452, RetryLater),
        (550, Rejected),
        (554, Rejected),
        (0, Uncertain),
    ],
)
def test_the_code_tells(status: int, kind: type) -> None:
    [outcome] = MAIL.outcomes([mail()], Response(status=status))
    assert type(outcome) is kind


def test_recipients_that_were_refused_are_counted() -> None:
    assert MAIL.outcomes([mail()], Response(status=250, body=b"1")) == [Applied(command_id="c1", fields={"refused": 1})]
