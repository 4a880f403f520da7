"""The vendor's SDK works unmodified against the emulator, and finds the answers shaped as its own model says."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from zohocrmsdk.src.com.zoho.crm.api import (
    blueprint,
    change_owner,
    convert_lead,
    coql,
    notes,
    notifications,
    record_locking,
    related_records,
    send_mail,
    tags,
)
from zohocrmsdk.src.com.zoho.crm.api import users as sdk_users
from zohocrmsdk.src.com.zoho.crm.api.modules import ModulesOperations
from zohocrmsdk.src.com.zoho.crm.api.record import (
    APIException,
    DeleteRecordsParam,
    GetDeletedRecordsParam,
    GetRecordsHeader,
    GetRecordsParam,
    RecordOperations,
    SearchRecordsParam,
)
from zohocrmsdk.src.com.zoho.crm.api.util import Choice

from sandbox.server import Sandbox
from tests.sandbox import zoho_sdk as sdk
from tests.sandbox.zoho_seed import MIRAI, ROBOT, SUZUKI, TAKAHASHI, journey

KEY = "Renkei_Key"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(journey()) as running:
        sdk.initialize(running.zoho, tmp_path_factory.mktemp("sdk"))
        yield running


@pytest.fixture
def deals() -> RecordOperations:
    return RecordOperations("Deals")


def deal(name: str, **fields: Any) -> Any:
    return sdk.record(Deal_Name=name, Stage=Choice("Qualification"), **fields)


def made(operations: RecordOperations, *rows: Any) -> list[int]:
    status, told = sdk.told(operations.create_records(sdk.records(*rows)))
    assert status == 201
    return [int(row.details["id"]) for row in told]


@pytest.mark.usefixtures("sandbox")
def test_it_logs_in_creates_and_reads_back(deals: RecordOperations) -> None:
    day = datetime.date(2026, 1, 31)
    row = deal("株式会社みらい 🚀", Amount=12.5, Closing_Date=day, Account_Name=sdk.record(id=int(MIRAI)))
    [record_id] = made(deals, row)
    status, [found] = sdk.read(deals.get_record(record_id))
    assert (status, found["Deal_Name"], found["Amount"]) == (200, "株式会社みらい 🚀", 12.5)
    assert (found["Closing_Date"], found["Stage"].get_value()) == (day, "Qualification")
    assert (found["Account_Name"].get_id(), found["Owner"].get_id()) == (int(MIRAI), int(ROBOT))
    assert found["Modified_Time"] >= datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.usefixtures("sandbox")
def test_rows_of_a_mixed_write_have_their_own_results(deals: RecordOperations) -> None:
    [first] = made(deals, deal("Held", Renkei_Key="sdk-held"))
    body = sdk.records(deal("Good"), deal("Clash", Renkei_Key="sdk-held"), deal("x" * 121))
    status, [good, clash, long] = sdk.told(deals.create_records(body))
    assert (status, good.code, good.message) == (207, "SUCCESS", "record added")
    assert (clash.code, clash.message, int(clash.details["id"])) == ("DUPLICATE_DATA", "duplicate data", first)
    assert (long.code, long.details["maximum_length"]) == ("INVALID_DATA", "120")


@pytest.mark.usefixtures("sandbox")
def test_it_updates_one_and_many_and_upserts(deals: RecordOperations) -> None:
    one, two = made(deals, deal("One"), deal("Two", Renkei_Key="sdk-two"))
    status, [told] = sdk.told(deals.update_record(one, sdk.records(sdk.record(Amount=5.0), trigger=[])))
    assert (status, told.message) == (200, "record updated")
    rows = [sdk.record(id=one, Amount=6.0), sdk.record(id=two, Amount=7.0)]
    status, told_rows = sdk.told(deals.update_records(sdk.records(*rows)))
    assert (status, [row.code for row in told_rows]) == (200, ["SUCCESS", "SUCCESS"])
    body = sdk.records(deal("Two again", Renkei_Key="sdk-two"), duplicate_check_fields=[KEY])
    answer = deals.upsert_records(body)
    [row] = answer.get_object().get_data()
    assert (answer.get_status_code(), row.get_action().get_value(), row.get_duplicate_field()) == (200, "update", KEY)


@pytest.mark.usefixtures("sandbox")
def test_it_lists_what_changed_and_what_was_deleted(deals: RecordOperations) -> None:
    one, two = made(deals, deal("Stays"), deal("Goes"))
    fields = sdk.parameters((GetRecordsParam.fields, "Deal_Name"), (GetRecordsParam.per_page, 2))
    since = sdk.headers((GetRecordsHeader.if_modified_since, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)))
    answer = deals.get_records(fields, since)
    assert (answer.get_status_code(), len(answer.get_object().get_data())) == (200, 2)
    assert answer.get_object().get_info().get_more_records() is True
    future = sdk.headers((GetRecordsHeader.if_modified_since, datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)))
    assert deals.get_records(fields, future).get_status_code() == 304
    status, [told] = sdk.told(deals.delete_records(sdk.parameters((DeleteRecordsParam.ids, str(two)))))
    assert (status, told.message) == (200, "record deleted")
    deleted = deals.get_deleted_records(sdk.parameters((GetDeletedRecordsParam.type, "all")), sdk.headers())
    assert two in [row.get_id() for row in deleted.get_object().get_data()]
    assert deals.get_record(two).get_status_code() == 204
    assert deals.get_record(one).get_status_code() == 200


@pytest.mark.usefixtures("sandbox")
def test_it_searches_counts_and_asks_in_coql(deals: RecordOperations) -> None:
    made(deals, deal("Sought (1)"), deal("Sought, 2"))
    criteria = r"((Deal_Name:equals:Sought \(1\))or(Deal_Name:equals:Sought\, 2))"
    status, found = sdk.read(deals.search_records(sdk.parameters((SearchRecordsParam.criteria, criteria))))
    assert (status, len(found)) == (200, 2)
    assert deals.record_count().get_object().get_count() >= 2
    body = coql.BodyWrapper()
    body.set_select_query("select Deal_Name, Stage from Deals where Deal_Name like 'Sought%' limit 0, 10")
    answer = coql.CoqlOperations().get_records(body)
    assert [row.get_key_value("Stage") for row in answer.get_object().get_data()] == ["Qualification"] * 2
    body.set_select_query("select Nope from Deals where id is not null")
    refused = coql.CoqlOperations().get_records(body).get_object()
    assert (refused.get_code().get_value(), refused.get_status().get_value()) == ("INVALID_QUERY", "error")


def test_it_tags_and_untags(sandbox: Sandbox, deals: RecordOperations) -> None:
    one, two = made(deals, deal("Tagged"), deal("Tagged too"))
    wish = tags.NewTagRequestWrapper()
    tag = tags.Tag()
    tag.set_name("重要")
    wish.set_tags([tag])
    wish.set_ids([one, two])
    answer = tags.TagsOperations().add_tags_to_multiple_records("Deals", wish)
    assert (answer.get_status_code(), answer.get_object().get_success_count()) == (200, "2")
    assert [row.get_code().get_value() for row in answer.get_object().get_data()] == ["SUCCESS", "SUCCESS"]
    assert [tag.get_name() for tag in sdk.read(deals.get_record(one))[1][0]["Tag"]] == ["重要"]
    away = tags.ExistingTagRequestWrapper()
    old = tags.ExistingTag()
    old.set_name("重要")
    away.set_tags([old])
    away.set_ids([one])
    assert tags.TagsOperations().remove_tags_from_multiple_records("Deals", away).get_status_code() == 200
    row = sandbox.zoho.record("Deals", str(one))
    assert row is not None
    assert row["Tag"] == []


@pytest.mark.usefixtures("sandbox")
def test_it_writes_and_reads_notes() -> None:
    note = notes.Note()
    note.set_note_title("Call")
    note.set_note_content("話した 📞")
    parent = notes.ParentId()
    parent.set_id(int(MIRAI))
    note.set_parent_id(parent)
    body = notes.BodyWrapper()
    body.set_data([note])
    status, [told] = sdk.told(notes.NotesOperations().create_notes(body))
    assert (status, told.code, told.message) == (201, "SUCCESS", "record added")
    answer = notes.NotesOperations().get_note(int(told.details["id"]))
    [found] = answer.get_object().get_data()
    assert (found.get_note_title(), found.get_note_content()) == ("Call", "話した 📞")


@pytest.mark.usefixtures("sandbox")
def test_it_converts_a_lead_once() -> None:
    [lead] = made(RecordOperations("Leads"), sdk.record(Last_Name="Daly", Company="ABC"))
    body = convert_lead.BodyWrapper()
    wish = convert_lead.LeadConverter()
    wish.set_contacts(sdk.record(id=int(TAKAHASHI)))
    when = datetime.date(2026, 10, 20)
    wish.set_deals(sdk.record(Deal_Name="Won", Closing_Date=when, Stage=Choice("Qualification"),
                              Pipeline=Choice("Standard (Standard)")))  # fmt: skip
    body.set_data([wish])
    status, [told] = sdk.told(convert_lead.ConvertLeadOperations(lead).convert_lead(body))
    assert (status, told.message) == (200, "The record has been converted successfully")
    assert told.details["Contacts"].get_id() == int(TAKAHASHI)
    status, [again] = sdk.told(convert_lead.ConvertLeadOperations(lead).convert_lead(body))
    assert (status, again.code, again.message) == (400, "ID_ALREADY_CONVERTED", "id already converted")


def test_it_changes_the_owner_of_many(sandbox: Sandbox, deals: RecordOperations) -> None:
    ids = made(deals, deal("A"), deal("B"))
    body = change_owner.MassWrapper()
    owner = change_owner.Owner()
    owner.set_id(int(SUZUKI))
    body.set_owner(owner)
    body.set_ids(ids)
    status, rows = sdk.told(change_owner.ChangeOwnerOperations("Deals").mass_update(body))
    assert (status, {row.message for row in rows}) == (200, {"owner is successfully updated"})
    assert {(sandbox.zoho.record("Deals", str(one)) or {}).get("Owner") for one in ids} == {SUZUKI}


@pytest.mark.usefixtures("sandbox")
def test_it_takes_a_transition_of_a_blueprint() -> None:
    demos = RecordOperations("Demos")
    [demo] = made(demos, sdk.record(Name="Demo", Status=Choice("Requested")))
    _, [row] = sdk.told(demos.update_record(demo, sdk.records(sdk.record(Status=Choice("Completed")))))
    assert row.code == "RECORD_IN_BLUEPRINT"
    operations = blueprint.BlueprintOperations(str(demo), "Demos")
    described = operations.get_blueprint().get_object().get_blueprint()
    [transition] = described.get_transitions()
    assert (transition.get_name(), transition.get_next_field_value()) == ("Schedule", "Scheduled")
    assert described.get_process_info().get_field_value() == "Requested"
    body = blueprint.BodyWrapper()
    wish = blueprint.BluePrint()
    wish.set_transition_id(str(transition.get_id()))
    wish.set_data(sdk.record())
    body.set_blueprint([wish])
    answer = operations.update_blueprint(body)
    assert answer.get_object().get_message().get_value() == "transition updated successfully"
    refused = operations.update_blueprint(body).get_object()
    assert refused.get_message().get_value() == "invalid transition"


def test_it_locks_and_unlocks(sandbox: Sandbox, deals: RecordOperations) -> None:
    [record_id] = made(deals, deal("Locked"))
    operations = record_locking.RecordLockingOperations(record_id, "Deals")
    body = record_locking.BodyWrapper()
    wish = record_locking.LockRecord()
    wish.set_locked_reason__s("Under review")
    body.set_data([wish])
    status, [told] = sdk.told(operations.lock_records(body))
    assert (status, told.message) == (201, "record added")
    status, [refused] = sdk.told(deals.update_record(record_id, sdk.records(sdk.record(Amount=1.0))))
    assert (status, refused.code) == (400, "RECORD_LOCKED")
    [lock] = operations.get_record_locking_informations().get_object().get_data()
    assert (lock.get_locked_reason__s(), lock.get_lock_source__s().get_value()) == ("Under review", "Manual")
    status, [told] = sdk.told(operations.unlock_record(lock.get_id()))
    assert (status, told.message) == (200, "record deleted")
    row = sandbox.zoho.record("Deals", str(record_id))
    assert row is not None
    assert row["Locked__s"] is False


def test_it_sends_a_mail(sandbox: Sandbox, deals: RecordOperations) -> None:
    [record_id] = made(deals, deal("Mailed"))
    mail, sender, to = send_mail.Data(), send_mail.From(), send_mail.To()
    sender.set_email("renkei@example.com")
    to.set_email("customer@example.com")
    mail.set_from(sender)
    mail.set_to([to])
    mail.set_subject("ご案内")
    mail.set_content("Hello")
    mail.set_mail_format(Choice("text"))
    body = send_mail.BodyWrapper()
    body.set_data([mail])
    status, [told] = sdk.told(send_mail.SendMailOperations(record_id, "Deals").send_mail(body))
    assert (status, told.code) == (200, "SUCCESS")
    assert told.details["message_id"]
    assert [mail["subject"] for mail in sandbox.zoho.records("Emails")] == ["ご案内"]


@pytest.mark.usefixtures("sandbox")
def test_it_links_and_unlinks_related_records(deals: RecordOperations) -> None:
    [record_id] = made(deals, deal("Linked"))
    related = related_records.RelatedRecordsOperations("Contacts", "Deals")
    body = related_records.BodyWrapper()
    body.set_data([sdk.record(id=int(TAKAHASHI))])
    status, [told] = sdk.told(related.update_related_records(record_id, body))
    assert (status, told.message) == (200, "relation added")
    fields = sdk.parameters((related_records.GetRelatedRecordsParam.fields, "Last_Name"))
    assert [row["id"] for row in sdk.read(related.get_related_records(record_id, fields))[1]] == [int(TAKAHASHI)]
    ids = sdk.parameters((related_records.DelinkRecordsParam.ids, TAKAHASHI))
    status, [told] = sdk.told(related.delink_records(record_id, ids))
    assert (status, told.message) == (200, "relation removed")
    assert related.get_related_records(record_id, fields).get_status_code() == 204


@pytest.mark.usefixtures("sandbox")
def test_it_watches_renews_and_ends() -> None:
    operations, channel = notifications.NotificationsOperations(), notifications.Notification()
    channel.set_channel_id("1000000068001")
    channel.set_events(["Deals.all"])
    channel.set_notify_url("http://127.0.0.1:9/nobody")
    channel.set_token("token")
    body = notifications.BodyWrapper()
    body.set_watch([channel])
    status, [told] = sdk.told(operations.enable_notifications(body), "watch")
    assert (status, told.message) == (201, "Successfully subscribed for actions-watch of the given module")
    [event] = told.details["events"]
    assert event.get_resource_name() == "Deals"
    renewal = notifications.Notification()
    renewal.set_channel_id("1000000068001")
    renewal.set_channel_expiry(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2))
    body.set_watch([renewal])
    status, [told] = sdk.told(operations.update_notification(body), "watch")
    assert (status, told.message) == (200, "Successfully updated the subscribe details")
    [known] = operations.get_notifications().get_object().get_watch()
    assert (known.get_channel_id(), known.get_resource_name()) == ("1000000068001", "Deals")
    ids = sdk.parameters((notifications.DeleteNotificationParam.channel_ids, "1000000068001"))
    status, [told] = sdk.told(operations.delete_notification(ids), "watch")
    assert (status, told.message) == (200, "Successfully un-subscribed from actions-watch")
    status, [told] = sdk.told(operations.delete_notification(ids), "watch")
    assert (status, told.code) == (400, "NOT_SUBSCRIBED")


@pytest.mark.usefixtures("sandbox")
def test_it_reads_users_and_modules() -> None:
    answer = sdk_users.UsersOperations().get_users()
    people = {user.get_email(): user for user in answer.get_object().get_users()}
    assert people["sato@example.com"].get_full_name() == "佐藤 花子"
    found = ModulesOperations().get_modules().get_object().get_modules()
    assert {"Deals", "Leads", "Notes"} <= {module.get_api_name() for module in found}


@pytest.mark.usefixtures("sandbox")
def test_what_the_emulator_refuses_is_an_exception_of_the_sdks_model(deals: RecordOperations) -> None:
    refused = deals.get_records().get_object()
    assert isinstance(refused, APIException)
    assert refused.get_code().get_value() == "REQUIRED_PARAM_MISSING"
    assert refused.get_details() == {"param_name": "fields"}
