-- What the last run of the audit told besides findings, as a JSON object; once for each subject.
CREATE TABLE audit_told (
  subject TEXT NOT NULL PRIMARY KEY,
  run BIGINT NOT NULL,
  told TEXT NOT NULL
);
-- Who is logged in to the pages: the SHA-256 of what the browser holds, a JSON object, and until when (microseconds since
-- 1970).
CREATE TABLE sessions (
  session TEXT NOT NULL PRIMARY KEY,
  who TEXT NOT NULL,
  ends BIGINT NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (ends);
