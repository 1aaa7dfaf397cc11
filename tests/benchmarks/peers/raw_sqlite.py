"""The limits of SQLite: a commit a row, or (variant `once`) one commit at the end."""

import json
import sqlite3

from driving import COLUMNS, Driver, main


class RawSqlite(Driver):
    """One table of rows with an index, and one of runs that holds each run's last row."""

    def __init__(self, folder, variant):
        super().__init__(folder, variant)
        self.durable = variant != "once"
        self._connection = None

    def _connect(self):
        if self._connection is None:
            path = self.folder / "raw.sqlite"
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=60)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
        return self._connection

    def open(self, run, params):
        connection = self._connect()
        columns = ", ".join(COLUMNS)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"CREATE TABLE IF NOT EXISTS rows (run, step, {columns})")
        connection.execute("CREATE INDEX IF NOT EXISTS by_run ON rows (run, step)")
        connection.execute(f"CREATE TABLE IF NOT EXISTS runs (run UNIQUE, lr, params, {columns})")
        values = (run, params["lr"], json.dumps(params))
        connection.execute("INSERT INTO runs (run, lr, params) VALUES (?, ?, ?)", values)
        connection.execute("COMMIT")
        if self.variant == "once":
            connection.execute("BEGIN")
        self._run = run
        self._insert = f"INSERT INTO rows VALUES (?, ?, {', '.join('?' * len(COLUMNS))})"

    def log(self, step, row):
        self._last = (self._run, step, *row.values())
        self._connection.execute(self._insert, self._last)

    def close(self):
        changes = ", ".join(f"{column} = ?" for column in COLUMNS)
        values = (*self._last[2:], self._run)
        self._connection.execute(f"UPDATE runs SET {changes} WHERE run = ?", values)
        if self.variant == "once":
            self._connection.execute("COMMIT")

    def fill(self, run, params, rows):
        self.variant = "once"
        super().fill(run, params, rows)

    def kept(self):
        runs = {}
        for run, step in self._connect().execute("SELECT run, step FROM rows ORDER BY rowid"):
            runs.setdefault(run, []).append(step)
        return runs

    def table(self):
        return len(self._connect().execute("SELECT * FROM runs").fetchall())

    def best(self):
        query = "SELECT run FROM runs WHERE lr < 0.1 ORDER BY m0 DESC LIMIT 1"
        return self._connect().execute(query).fetchone()[0]

    def history(self, run):
        query = "SELECT * FROM rows WHERE run = ? ORDER BY step"
        return len(self._connect().execute(query, (run,)).fetchall())

    def runs_frame(self):
        import pandas as pd

        return pd.read_sql_query("SELECT * FROM runs", self._connect())

    def rows_frame(self, run):
        import pandas as pd

        query = "SELECT * FROM rows WHERE run = ? ORDER BY step"
        return pd.read_sql_query(query, self._connect(), params=(run,))


if __name__ == "__main__":
    main(RawSqlite)
