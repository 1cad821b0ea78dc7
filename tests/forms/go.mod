// Test-only: names the published definitions of OpenReports that reports are checked against.
module flamewarden.dev/tests/forms

go 1.24.0

require github.com/openreports/reports-api v0.2.1
