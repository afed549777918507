"""Bugs of what watches over a server: meters, metrics, health, alerts."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

ALERTS = "tests/test_alerts.py"
WATCH = "tests/server/test_alert_watch.py"
DOOR = "tests/server/test_monitoring.py"
PROMETHEUS = "tests/server/test_prometheus.py"

MONITORING: Final[dict[str, Bug]] = {
    "alert-flaps": Bug(
        "blockdb/alerts.py",
        "elif was is not None and before is not None:\n            calm[key] = before.calm.get(key, 0) + 1",
        "elif was is not None and before is not None:\n            calm[key] = CALM",
        (f"{ALERTS}::test_a_value_about_its_limit_does_not_flap",),
        "An alert ends with the first good value, and begins again with the next bad one.",
    ),
    "near-begins": Bug(
        "blockdb/alerts.py",
        "if reading is not None and (reading.is_broken or was is not None):",
        "if reading is not None:",
        (f"{ALERTS}::test_a_value_about_its_limit_does_not_flap",),
        "An alert begins before its limit is reached.",
    ),
    "latency-since-ever": Bug(
        "blockdb/alerts.py",
        "yield one.put_latency if earlier is None else one.put_latency.since(earlier.put_latency)",
        "yield one.put_latency",
        (f"{ALERTS}::test_put_latency_is_that_since_the_last_look",),
        "What was slow once keeps the alert on for ever.",
    ),
    "webhook-gives-up-early": Bug(
        "blockdb/server/webhook.py",
        "return None if answer.is_success else",
        "return None if not answer.is_server_error else",
        (f"{WATCH}::test_it_is_tried_again_in_order_and_no_secret_is_logged",),
        "A redirect counts as having been told.",
    ),
    "in-flight-drifts": Bug(
        "blockdb/server/service.py",
        "outcomes[number] = call, failure, seconds",
        "raise",
        (f"{DOOR}::test_a_hook_that_fails_is_counted_as_the_answer",),
        "A request whose hook fails is never counted as over.",
    ),
    "others-left-out": Bug(
        "blockdb/server/prometheus.py",
        "*([((OTHERS,), others)] if others else [])",
        "",
        (f"{PROMETHEUS}::test_many_collections_share_a_label",),
        "Collections without a label of their own are not told of at all.",
    ),
    "unready-is-200": Bug(
        "blockdb/wire/messages/plain.py",
        "return 503 if self.reasons else 200",
        "return 200",
        (f"{DOOR}::test_a_server_that_is_stopping",),
        "A server that is stopping goes on being sent requests.",
    ),
}
