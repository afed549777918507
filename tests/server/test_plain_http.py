"""The plain endpoints, as a program without any library asks them: each body compared as bytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import blockdb

from .harness import Served, running

SCHEMA = {
    "version": 1,
    "fields": {
        "email": {
            "field_type": "String",
            "required": True,
            "validation_rules": [{"Pattern": "^[^@]+@[^@]+\\.[^@]+$"}],
        },
        "name": {
            "field_type": "String",
            "required": True,
            "validation_rules": [{"MinLength": 1}, {"MaxLength": 100}],
        },
    },
    "required_fields": ["email", "name"],
    "indexes": [{"name": "email_index", "fields": ["email"], "unique": True, "sparse": False}],
}
SETTINGS = {
    "max_document_size": 16777216,
    "ttl_seconds": None,
    "compression_enabled": False,
    "encryption_enabled": False,
    "replication_factor": 3,
    "read_concern": "Local",
    "write_concern": "Acknowledged",
}
TEXT = {"key": "user:1001", "value": "John Doe", "encoding": "utf8"}
EMAIL = {"name": "email", "fields": ["email"], "unique": False, "sparse": True}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path: Path = tmp_path_factory.mktemp("served") / "db"
    with blockdb.open(path) as database, running(database) as served:
        yield served


def asked(served: Served, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    """The answer's fields, in their order."""
    answer = served.ask(method, path, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    return answer.json


def compared(found: Any, wanted: Any) -> None:
    """Both written as JSON are the same bytes: the same fields, in the same order."""
    assert json.dumps(found) == json.dumps(wanted)


def test_data_operations(served: Served) -> None:
    done = {"success": True, "message": "Data stored successfully"}
    compared(asked(served, "POST", "/api/v1/put", TEXT), done)
    refused = {"success": False, "error": "DuplicateKey", "message": "Key 'user:1001' already exists"}
    compared(asked(served, "POST", "/api/v1/put", TEXT, status=409), refused)
    compared(asked(served, "GET", "/api/v1/get/user:1001?encoding=utf8"), {"success": True, **TEXT})
    missing = {"success": False, "error": "NotFound", "message": "Key 'user:1009' not found"}
    compared(asked(served, "GET", "/api/v1/get/user:1009", status=404), missing)
    operations = [{"type": "put", "key": f"batch:{number}", "value": "x"} for number in range(2)]
    results = [{"operation": 0, "success": True}, {"operation": 1, "success": True}]
    compared(asked(served, "POST", "/api/v1/batch", {"operations": operations}), {"success": True, "results": results})


def test_collections(served: Served) -> None:
    wanted = {"name": "users", "description": "User data collection", "schema": SCHEMA, "settings": SETTINGS}
    made = asked(served, "POST", "/api/v1/collections", wanted)
    id_ = made["collection_id"]
    told = "Collection 'users' created successfully"
    compared(made, {"success": True, "collection_id": id_, "message": told})
    told = "Collection with name 'users' already exists"
    refused = asked(served, "POST", "/api/v1/collections", wanted, status=409)
    compared(refused, {"success": False, "error": "DuplicateCollection", "message": told})

    here = f"/api/v1/collections/{id_}"
    stats = served.service.database["users"].collection_stats()
    figures = {
        "document_count": 0,
        "total_size_bytes": 0,
        "index_size_bytes": 0,
        "last_updated": stats.last_updated,
        "operations_count": 0,
    }
    info = served.service.database["users"].describe()
    head = {
        "id": id_,
        "name": "users",
        "description": "User data collection",
        "created_at": info.created_at,
        "created_by": "anonymous",
    }
    listed = asked(served, "GET", "/api/v1/collections")
    compared(list(listed), ["success", "collections"])
    compared([each for each in listed["collections"] if each["name"] == "users"], [{**head, "stats": figures}])
    shown = {**head, "schema": SCHEMA, "settings": SETTINGS, "stats": figures}
    compared(asked(served, "GET", here), {"success": True, "collection": shown})
    compared(asked(served, "GET", f"{here}/stats"), {"success": True, "collection_id": id_, "stats": figures})

    found = asked(served, "POST", f"{here}/documents", {**TEXT, "value": '{"name": "x"}'}, status=422)
    told = "Document validation failed: missing required field 'email'"
    compared(found, {"success": False, "error": "ValidationError", "message": told})
    stored = {"success": True, "message": "Document stored successfully in collection"}
    value = '{"email": "a@b.c", "name": "Alice"}'
    compared(asked(served, "POST", f"{here}/documents", {**TEXT, "value": value}), stored)
    document = {"key": "user:1001", "value": value, "encoding": "utf8"}
    found = asked(served, "GET", f"{here}/documents/user:1001")
    compared(found, {"success": True, "collection_id": id_, **document})
    found = asked(served, "GET", f"{here}/documents?prefix=user&limit=10&offset=0")
    page = {"success": True, "collection_id": id_, "documents": [document], "total_count": 1, "has_more": False}
    compared(found, page)

    told = "Index 'email' created successfully"
    compared(asked(served, "POST", f"{here}/indexes", EMAIL), {"success": True, "message": told})
    told = "Index 'email' dropped successfully"
    compared(asked(served, "DELETE", f"{here}/indexes/email"), {"success": True, "message": told})
    found = asked(served, "POST", f"{here}/verify")
    took = found["verification_time_ms"]
    assert type(took) is int
    figures = {"blockchain_valid": True, "blocks_verified": found["blocks_verified"], "verification_time_ms": took}
    compared(found, {"success": True, "collection_id": id_, **figures})
    told = "Collection 'users' dropped successfully"
    compared(asked(served, "DELETE", here), {"success": True, "message": told})
    told = f"Collection '{id_}' not found"
    found = asked(served, "DELETE", here, status=404)
    compared(found, {"success": False, "error": "CollectionNotFound", "message": told})


def test_the_system(served: Served) -> None:
    found = asked(served, "POST", "/verify")
    compared(list(found), ["success", "blockchain_valid", "blocks_verified", "verification_time_ms"])
    assert found["blockchain_valid"] is True
    found = asked(served, "GET", "/cluster/status")
    compared(list(found), ["cluster_id", "node_id", "state", "term", "leader", "nodes"])
    compared(list(found["nodes"][0]), ["id", "address", "state", "last_heartbeat"])
    asked(served, "POST", "/cluster/add", {"node_id": "node3", "address": "192.168.1.12:8080"}, status=400)
    asked(served, "DELETE", "/cluster/remove/node3", status=400)


def test_what_is_no_text_comes_as_base64_and_goes_so(served: Served) -> None:
    binary = {"key": "/wA=", "value": "/v8=", "encoding": "base64"}
    asked(served, "POST", "/api/v1/put", binary)
    compared(asked(served, "GET", "/api/v1/get/%FF%00"), {"success": True, **binary})
    told = "A key or value is not text. Ask for it with encoding=base64."
    found = asked(served, "GET", "/api/v1/get/%FF%00?encoding=utf8", status=400)
    compared(found, {"success": False, "error": "InvalidData", "message": told})
    assert served.service.database.get(b"\xff\0") == b"\xfe\xff"


def test_keys_may_have_slashes(served: Served) -> None:
    asked(served, "POST", "/api/v1/put", {"key": "config/a/b", "value": "1"})
    for path in ("config/a/b", "config%2Fa%2Fb"):
        assert asked(served, "GET", f"/api/v1/get/{path}")["value"] == "1"


def test_nothing_is_deleted_or_changed(served: Served) -> None:
    for method in ("DELETE", "PUT", "PATCH"):
        found = asked(served, method, "/api/v1/get/user:1001", status=405)
        assert found["error"] == "AppendOnly"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/api/v1/put", b"{", 400, "The body is not as it should be"),
        ("POST", "/api/v1/put", b'{"key": "a"}', 400, "value"),
        ("POST", "/api/v1/put", b'{"key": "a", "value": "b", "valeu": 1}', 400, "valeu"),
        ("POST", "/api/v1/put", b'{"key": "?", "value": "?", "encoding": "base64"}', 400, "Invalid base64 encoding"),
        ("POST", "/api/v1/put", b'{"key": "", "value": "x"}', 400, "empty"),
        ("POST", "/api/v1/put", b"[" * 100_000, 400, "The body is not as it should be"),
        ("GET", "/api/v1/get/a?encoding=utf16", None, 400, "encoding: it should be one of"),
        ("GET", "/api/v1/get/a?colour=red", None, 400, "There is no parameter 'colour'"),
        ("GET", "/api/v1/collections/default/scan?limit=x", None, 400, "limit"),
        ("GET", "/api/v1/collections/default/scan?limit=0", None, 400, "limit: it should be from 1"),
        ("GET", "/api/v1/collections/default/scan?cursor=abc", None, 400, "This is no cursor"),
        ("GET", "/api/v1/collections/default/scan?limit=1&limit=2", None, 400, "twice"),
        ("GET", "/api/v1/collections/nope/scan", None, 404, "Collection 'nope' not found"),
        ("POST", "/api/v1/transactions/99/commit", b"{}", 404, "There is no transaction 99"),
        ("GET", "/api/v2/get/a", None, 404, "There is nothing at /api/v2/get/a"),
        ("POST", "/api/v1/get/a", b"", 405, "POST is not for"),
    ],
)
def test_bad_input_is_told_what_is_wrong(
    served: Served, method: str, path: str, body: bytes | None, status: int, words: str
) -> None:
    answer = served.ask(method, path, body)
    assert answer.status == status
    assert answer.json["success"] is False
    assert words in answer.json["message"]


def test_a_body_of_another_type_is_refused(served: Served) -> None:
    answer = served.ask("POST", "/api/v1/put", b"<a/>", content_type="text/xml")
    assert (answer.status, answer.json["error"]) == (400, "InvalidData")


def test_requests_have_ids(served: Served) -> None:
    assert served.ask("GET", "/health", x_request_id="mine").headers["x-request-id"] == "mine"
    assert len(served.ask("GET", "/health", x_request_id="a\tb").headers["x-request-id"]) == 16
