"""The kept state of a lab: every committed write is in a SQLite file before whoever wrote has an answer.

    objects   the objects as JSON, with the number that tells which was created first
    drawn     how often a name, a uid … was drawn for a purpose: what is drawn later is new
    counter   the resourceVersion of the latest write

One transaction of the store is one of SQLite's. In WAL mode with synchronous=NORMAL, a write is in the kernel's hands
when it is committed: it survives SIGKILL at any moment. (FULL: it is on the disk.) One process has the file at a time.
A file that is not a lab's, damaged, or of a later format is refused and stays as it is.
Source: sqlite.org/wal.html (WAL without shared memory), pragma.html.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from labkit.control.chance import Chance
from labkit.control.index import Key
from labkit.control.refusals import internal
from labkit.control.watch import Event
from labkit.errors import StateError

Raw = dict[str, Any]
Entry = tuple[Key, Raw | None, Event]
"""One write: the key, what was there, what happened."""
Synchronous = Literal["NORMAL", "FULL"]

APPLICATION, FORMAT = 0x6C61626B, 1  # "labk"; the format rises when an older labkit could not read the file
CHECKPOINT = 4000  # pages of 4 KiB in the log before they move into the file, the only step that waits for a disk
SCHEMA = """
    CREATE TABLE objects (kind TEXT, namespace TEXT, name TEXT, created INTEGER NOT NULL, body BLOB NOT NULL,
                          PRIMARY KEY (kind, namespace, name));
    CREATE TABLE drawn (purpose TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE counter (version INTEGER NOT NULL);
    INSERT INTO counter VALUES (0);
"""
REMEDY = "Move it away, or give the lab another name."


class Keep:
    """An open file. Raises `StateError` where it cannot be used, and leaves it as it is then."""

    def __init__(self, path: Path, synchronous: Synchronous = "NORMAL") -> None:
        self.path = path
        self.empty = False
        try:
            self._db = self._opened(synchronous)
        except sqlite3.Error as error:
            raise StateError(_why_not(path, error), path=str(path)) from None

    def objects(self) -> Iterator[tuple[Key, int, Raw]]:
        """(key, when it was created, object) of all objects. Raises `StateError` where one cannot be read."""
        for kind, namespace, name, created, body in self._db.execute("SELECT * FROM objects ORDER BY created, name"):
            try:
                yield (kind, namespace, name), created, msgspec.json.decode(body)
            except msgspec.DecodeError:
                raise StateError(f"{self.path} is damaged: {kind} {namespace}/{name}. {REMEDY}") from None

    @property
    def version(self) -> int:
        number: int = self._db.execute("SELECT version FROM counter").fetchone()[0]
        return number

    @property
    def drawn(self) -> Counter[tuple[str, ...]]:
        return Counter({tuple(p.split("\0")): times for p, times in self._db.execute("SELECT * FROM drawn")})

    def write(
        self,
        journal: Sequence[Entry],
        version: int,
        created: Mapping[Key, int],
        encoded: Callable[[Raw], bytes],
        chance: Chance,
    ) -> None:
        """Keep writes, all or none. Raises `ApiError` (500) where the file takes none of them."""
        last = {key: event for key, _, event in journal}
        put = [(*key, created[key], encoded(e.object), created[key]) for key, e in last.items() if e.type != "DELETED"]
        gone = [key for key, event in last.items() if event.type == "DELETED"]
        draws = [("\0".join(purpose), chance.drawn[purpose]) for purpose in chance.fresh_since_kept]
        run = self._db.execute
        try:
            run("BEGIN IMMEDIATE")
            for row in put:
                run(
                    "INSERT INTO objects VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET created = ?6, body = excluded.body",
                    row,
                )
            for place in gone:
                run("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", place)
            for draw in draws:
                run("INSERT OR REPLACE INTO drawn VALUES (?, ?)", draw)
            run("UPDATE counter SET version = ?", (version,))
            run("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                run("ROLLBACK")
            raise internal(f"{self.path} took no write: {error}") from None

    def close(self) -> None:
        self._db.close()

    def _opened(self, synchronous: Synchronous) -> sqlite3.Connection:
        new = not self.path.exists()
        if new:
            self.path.touch(mode=0o600)
        db = sqlite3.connect(f"file:{quote(str(self.path))}?mode=rw", uri=True, isolation_level=None, timeout=0)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.empty = self._check(db)
            db.execute(f"PRAGMA synchronous = {synchronous}")
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            db.execute("PRAGMA journal_mode = WAL")
            if self.empty:
                marks = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}"
                db.executescript(f"BEGIN EXCLUSIVE; {SCHEMA} {marks}; COMMIT")
            else:
                db.execute("BEGIN IMMEDIATE")  # takes the lock, for good
                db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def _check(self, db: sqlite3.Connection) -> bool:
        """Whether nothing is in the file yet. Raises `StateError` for what is not a lab's: nothing was written."""
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (number,) = db.execute("PRAGMA user_version").fetchone()
        if not tables and not application:
            return True
        if application != APPLICATION:
            raise StateError(f"{self.path} is a database, but not the state of a lab. {REMEDY}", path=str(self.path))
        if number > FORMAT:
            why = f"{self.path} was written by a later labkit (format {number}; this one reads {FORMAT})"
            raise StateError(f"{why}. Update labkit, or give the lab another name.", path=str(self.path))
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StateError(f"{self.path} is damaged: {found}. {REMEDY}", path=str(self.path))
        return False


def _why_not(path: Path, error: sqlite3.Error) -> str:
    match error.sqlite_errorcode if isinstance(error, sqlite3.DatabaseError) else 0:
        case sqlite3.SQLITE_BUSY:
            return f"{path} is in use: another lab has it open. Close that one, or give this one another name."
        case sqlite3.SQLITE_NOTADB:
            return f"{path} is not the state of a lab. {REMEDY}"
        case sqlite3.SQLITE_CORRUPT:
            return f"{path} is damaged: {error}. {REMEDY}"
        case _:
            return f"{path} cannot be used: {error}"
