-- By what decisions and gaps of the journal are found; number is their entry's. What they say stands in the entry alone.
-- Entries that were written before this step are in no list. Run is the name of one run of the analysis; words are in
-- small letters.
CREATE TABLE decisions (
  number BIGINT NOT NULL PRIMARY KEY,
  outcome TEXT NOT NULL,
  namespace TEXT NOT NULL,
  analysis TEXT NOT NULL,
  run TEXT NOT NULL,
  asker TEXT NOT NULL,
  words TEXT NOT NULL
);
CREATE INDEX decisions_by_outcome ON decisions (outcome, number);
CREATE INDEX decisions_by_namespace ON decisions (namespace, outcome, number);
CREATE INDEX decisions_by_analysis ON decisions (analysis, outcome, number);
CREATE INDEX decisions_by_asker ON decisions (asker, outcome, number);
CREATE TABLE decision_rules (
  rule TEXT NOT NULL,
  outcome TEXT NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (rule, outcome, number)
);
CREATE INDEX decision_rules_by_number ON decision_rules (number);
