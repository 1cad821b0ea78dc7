-- What has happened. Each entry's hash covers that of the entry before; written is microseconds since 1970, body a JSON
-- object.
CREATE TABLE journal (
  number BIGINT NOT NULL PRIMARY KEY,
  written BIGINT NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX journal_by_time ON journal (written);
CREATE INDEX journal_by_kind ON journal (kind, number);
-- How far the decisions of a run of a webhook replica are in the journal, and how many of those that are not the replica
-- itself has reported as lost. Place is the journal's number at that time.
CREATE TABLE journal_sources (
  source TEXT NOT NULL PRIMARY KEY,
  place BIGINT NOT NULL,
  last BIGINT NOT NULL,
  explained BIGINT NOT NULL
);
-- How far the journal was sent to whom.
CREATE TABLE journal_receivers (
  receiver TEXT NOT NULL PRIMARY KEY,
  number BIGINT NOT NULL,
  hash TEXT NOT NULL
);
