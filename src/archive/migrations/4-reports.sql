-- What Grype has found in an image, where that is too large for an object of the cluster. The text comes last: whoever
-- adds up lengths does not read it.
CREATE TABLE reports (
  image TEXT NOT NULL PRIMARY KEY,
  place BIGINT NOT NULL,
  length BIGINT NOT NULL,
  text TEXT NOT NULL
);
