-- Times are microseconds since 1970; pods is a JSON list of names.
CREATE TABLE runs (
  analysis TEXT NOT NULL,
  number BIGINT NOT NULL,
  project TEXT NOT NULL,
  image TEXT NOT NULL,
  phase TEXT NOT NULL,
  progress BIGINT NOT NULL,
  pods TEXT NOT NULL,
  reason TEXT NOT NULL,
  started BIGINT,
  ended BIGINT,
  PRIMARY KEY (analysis, number)
);
CREATE INDEX runs_by_end ON runs (ended);
