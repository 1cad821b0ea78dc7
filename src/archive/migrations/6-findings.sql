-- Runs of the audit. Times are microseconds since 1970, counts is a JSON object.
CREATE TABLE audit_runs (
  number BIGINT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL,
  made BIGINT NOT NULL,
  score BIGINT NOT NULL,
  counts TEXT NOT NULL,
  opened BIGINT NOT NULL,
  fixed BIGINT NOT NULL
);
CREATE INDEX audit_runs_by_time ON audit_runs (subject, made);
-- Whose turn it is to write down a run: whoever began last.
CREATE TABLE audit_turn (
  place BIGINT NOT NULL PRIMARY KEY,
  turn BIGINT NOT NULL
);
-- What was found, once for each fingerprint. Severity is 0 to 3, failing 0 or 1. A finding stands while fixed is null; it
-- was seen in the subject's last run where last_seen is null.
CREATE TABLE findings (
  subject TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  severity BIGINT NOT NULL,
  failing BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  rule TEXT NOT NULL,
  api_version TEXT NOT NULL,
  kind TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  message TEXT NOT NULL,
  remedy TEXT NOT NULL,
  told BIGINT NOT NULL,
  first_seen BIGINT NOT NULL,
  since BIGINT NOT NULL,
  opened_run BIGINT NOT NULL,
  last_seen BIGINT,
  fixed BIGINT,
  fixed_run BIGINT NOT NULL,
  PRIMARY KEY (subject, fingerprint)
);
CREATE INDEX findings_by_fix ON findings (fixed);
