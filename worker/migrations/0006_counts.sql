-- What an operator watches without reading every row.

-- How many calls came to what, ever: written with the rows, once for each. One row for each outcome and channel.
CREATE TABLE call_counts (
  -- As `Outcome` in core/src/metrics.rs.
  outcome TEXT NOT NULL,
  channel TEXT NOT NULL CHECK (channel IN ('rest', 'mcp')),
  count INTEGER NOT NULL CHECK (count >= 0),
  -- The milliseconds from the end of each call to its row, together: what grows when rows wait.
  delay INTEGER NOT NULL DEFAULT 0 CHECK (delay >= 0),
  PRIMARY KEY (outcome, channel)
) STRICT, WITHOUT ROWID;

-- The checksum of everything above. Written by `cargo xtask generate`; the worker compares it with its own.
INSERT INTO migration_checksums (name, sha256) VALUES
('0006_counts.sql', 'dacb91878397ae3138f794dd5e9848bdcbbad0c046e552801860cfbdd8e177f8');
