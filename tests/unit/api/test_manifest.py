from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api import manifest, source
from labkit.errors import ApiError, ManifestError

BOOKINFO = Path(__file__).parents[2] / "data" / "bookinfo.yaml"
GOOD = """\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
  - port: 80
"""


def refused(given: Any) -> ManifestError:
    with pytest.raises(ManifestError) as error:
        manifest.load(given)
    return error.value


def test_bookinfo() -> None:
    documents = manifest.load(BOOKINFO)
    assert len(documents) == 14
    assert {d.object["kind"] for d in documents} == {"Service", "ServiceAccount", "Deployment"}


def test_text_path_folder_dict_and_list_give_the_same(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not a manifest")
    (text,) = manifest.load(GOOD)
    for other in (file, str(file), tmp_path, file.as_uri(), text.object, [text.object]):
        assert [d.object for d in manifest.load(other)] == [text.object]


def test_json_text() -> None:
    (document,) = manifest.load('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}')
    assert document.title == "Namespace shop"


def test_documents_know_their_lines() -> None:
    _, second = manifest.load(f"# two Services\n{GOOD}---\n{GOOD.replace('web', 'db')}")
    assert (second.index, second.line, second.title) == (2, 10, "Service db")
    assert second.line_of("spec.ports[0].port") == 16
    assert second.line_of("spec.ports[0].nodePort") == 16
    assert second.line_of("spec.type") == 14
    assert second.line_of("metadata.labels[a.b/c]") == 12


def test_lists_are_flattened() -> None:
    item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    other = {**item, "metadata": {"name": "b"}}
    found = manifest.load({"apiVersion": "v1", "kind": "List", "items": [item, {"kind": "List", "items": [other]}]})
    assert [d.object for d in found] == [item, other]
    text = "kind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: A\n"
    assert refused(text).details["problems"][0]["line"] == 7
    assert "spec" not in refused({"kind": "List", "apiVersion": "v1"}).message


def test_empty_documents_are_skipped_and_an_empty_manifest_refused() -> None:
    assert [d.index for d in manifest.load(f"---\n# nothing\n---\n{GOOD}---\n")] == [2]
    assert "holds no objects" in refused("# nothing\n---\n").message
    assert "holds no objects" in refused("").message


def test_all_problems_at_once(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(GOOD.replace("80", "70000") + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspce: {}\n")
    error = refused(file)
    assert error.message.splitlines() == [
        "3 problems in the manifest:",
        f"  {file}, document 1 (Service web), line 7, spec.ports[0].port: Invalid value: 70000: must be between 1 and "
        "65535, inclusive. Choose a number from 1 to 65535.",
        f'  {file}, document 2 (Pod x), line 12, spce: unknown field "spce". Did you mean "spec"?',
        f"  {file}, document 2 (Pod x), line 9, spec.containers: Required value. Add containers.",
    ]
    assert error.details["problems"][0] == {
        "field": "spec.ports[0].port",
        "message": "Invalid value: 70000: must be between 1 and 65535, inclusive",
        "remedy": "Choose a number from 1 to 65535.",
        "file": str(file),
        "document": 1,
        "object": "Service web",
        "line": 7,
    }


def test_at_most_ten_problems_are_printed() -> None:
    ports = "".join(f"  - {{port: 0, name: p{n}}}\n" for n in range(12))
    error = refused(GOOD.replace("  - port: 80\n", ports))
    assert len(error.details["problems"]) == 12 + 11  # ports that are equal count too
    assert len(error.message.splitlines()) == 12
    assert error.message.endswith("… and 13 more")


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        (GOOD.replace("kind: Service\n", ""), "kind", "Required value"),
        (GOOD.replace("apiVersion: v1\n", ""), "apiVersion", "Required value"),
        (GOOD.replace("  name: web\n", "  labels: {}\n"), "metadata.name",
         "Required value: name or generateName is required"),
        (GOOD.replace("  name: web\n", "  generateName: web-\n"), "metadata.name",
         "Required value: cannot use generate name with apply"),
        (GOOD.replace("kind: Service", "kind: Servise"), "kind", 'no matches for kind "Servise" in version "v1"'),
        ("- a\n- b\n", "", 'Invalid value: ["a","b"]: must be an object'),
        ("just some\nwords\n", "", 'Invalid value: "just some words": must be an object'),
        (GOOD.replace("  ports", "\tports"), "", None),
        (GOOD + "spec: {}\n", "", 'key "spec" already set in map'),
    ],
)  # fmt: skip
def test_bad_documents(text: str, field: str, message: str | None) -> None:
    (found,) = refused(text).details["problems"]
    assert found["field"] == field
    assert message is None or found["message"] == message
    assert found["remedy"]
    assert found["document"] == 1


def test_the_same_object_twice_names_both_documents() -> None:
    second = GOOD.replace("name: web", "name: web\n  namespace: default")
    (found,) = refused(f"{GOOD}---\n{second}").details["problems"]
    assert (found["field"], found["message"], found["line"]) == ("metadata.name", 'Duplicate value: "web"', 12)
    assert found["remedy"] == "Service web stands in manifest, document 1, line 1 too: rename one, or remove it."
    assert len(manifest.load(f"{GOOD}---\n{second.replace('default', 'shop')}")) == 2


@pytest.mark.parametrize(
    "path", ["http", "shop.yaml", "no/such/folder/shop", Path("shop.yml"), "shop", "a\0b.yaml", "x" * 5000]
)
def test_a_path_that_is_not_there(path: str | Path) -> None:
    message = refused(path).message
    assert "there is no file" in message or "cannot read" in message
    assert len(message) < 600


def test_files_that_cannot_be_manifests(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in refused(file).message
    file.write_bytes(b"a" * (source.MAX_BYTES + 1))
    assert "has more than 5 MB" in refused(file).message
    file.unlink()
    assert "holds no .yaml" in refused(tmp_path).message


@pytest.mark.parametrize(
    "bad", [{"kind": {1, 2}, "x": object()}, {"a": 2**70}, {("a", "b"): 1}, [3], ["kind: Pod"], [{}], {"a": "\ud800"}]
)
def test_python_values_that_are_no_objects(bad: Any) -> None:
    assert refused(bad).details["problems"]


def test_a_value_that_holds_itself() -> None:
    loop: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod"}
    loop["spec"] = loop
    assert "cannot be written as JSON" in refused(loop).message


RELEASED = threading.Event()  # lets the slow answer end with its test


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bodies = {"/shop.yaml": GOOD.encode(), "/page": b"<!DOCTYPE html>", "/big": b"#" * (source.MAX_BYTES + 10)}
        if self.path == "/slow":
            RELEASED.wait(5)
        body = bodies.get(self.path)
        self.send_response(200 if body else 404)
        self.end_headers()
        with suppress(OSError):  # the client may have gone
            self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    RELEASED.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_urls(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (document,) = manifest.load(f"{site}/shop.yaml")
    assert document.source == f"{site}/shop.yaml"
    assert "HTTP" in refused(f"{site}/missing").message or "Not Found" in refused(f"{site}/missing").message
    assert "is a web page" in refused(f"{site}/page").message
    assert "has more than 5 MB" in refused(f"{site}/big").message
    monkeypatch.setattr(source, "TIMEOUT", 0.2)
    assert "timed out" in refused(f"{site}/slow").message


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.yaml", "http://[bad/x", "file:///no/such/file.yaml", "http://"])
def test_urls_that_cannot_be_had(url: str) -> None:
    assert "cannot get" in refused(url).message or "there is no file" in refused(url).message


@given(st.text(alphabet=st.sampled_from("abk:-[]{}&*!|'\"# \n0"), max_size=80), st.integers(0, len(GOOD)))
@settings(max_examples=300)
def test_any_text_loads_or_is_refused(noise: str, at: int) -> None:
    for text in (f"{GOOD[:at]}{noise}{GOOD[at:]}", f"\n{noise}"):
        try:
            manifest.load(text)
        except ManifestError as error:
            assert error.message


def test_a_conflict_of_owners_says_how_to_win_it() -> None:
    documents = manifest.load({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "eve"', "field": ".data.x"}
    status = {"reason": "Conflict", "message": "Apply failed with 1 conflict", "details": {"causes": [cause]}}
    error = ApiError("", refused=[{"index": 0, "problems": [], "status": status}])
    assert "Apply failed with 1 conflict. Leave these fields out, or take them over" in str(
        manifest.refused(documents, error)
    )
