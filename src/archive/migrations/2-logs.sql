-- A log is kept in chunks of equal length, numbered by where they begin; those in the middle of a long one are given up.
CREATE TABLE logs (
  analysis TEXT NOT NULL,
  number BIGINT NOT NULL,
  source TEXT NOT NULL,
  total BIGINT NOT NULL,
  PRIMARY KEY (analysis, number, source),
  FOREIGN KEY (analysis, number) REFERENCES runs (analysis, number) ON DELETE CASCADE
);
CREATE TABLE log_chunks (
  analysis TEXT NOT NULL,
  number BIGINT NOT NULL,
  source TEXT NOT NULL,
  place BIGINT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (analysis, number, source, place),
  FOREIGN KEY (analysis, number, source) REFERENCES logs (analysis, number, source) ON DELETE CASCADE
);
