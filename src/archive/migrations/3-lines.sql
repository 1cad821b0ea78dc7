-- What an analysis streams itself.
CREATE TABLE lines (
  analysis TEXT NOT NULL,
  number BIGINT NOT NULL,
  place BIGINT NOT NULL,
  log TEXT NOT NULL,
  log_type TEXT NOT NULL,
  status TEXT NOT NULL,
  progress BIGINT NOT NULL,
  written BIGINT NOT NULL,
  PRIMARY KEY (analysis, number, place),
  FOREIGN KEY (analysis, number) REFERENCES runs (analysis, number) ON DELETE CASCADE
);
